"""What real files hold, through the command: ids, types, grades and trees in the writings of other programs."""

import gzip
import json
import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from little import ITEMS, JUDGEMENTS, TREE, put, zipped

from relevance.data.__main__ import command
from relevance.errors import UserError

J = "query,item_id,label\nred lamp,1,2\nred lamp,2,0\nfern,2,2\nfern,1,0\n"
I = "item_id,title,product_type\n1,Lamp Lux,12\n2,Fern pot,22\n"  # noqa: E741
T = "type,parent,name\n1,,Home\n11,1,Lighting\n12,11,Lamps\n2,,Garden\n21,2,Plants\n22,21,Ferns\n"
FLOATS = T.replace(",1,", ",1.0,").replace(",11,", ",11.0,").replace(",2,", ",2.0,").replace(",21,", ",21.0,")
SHARES = ("validation_share=1e-9", "test_share=1e-9")  # all in training: nothing crosses
ALL = (*SHARES, "rules.draws=60", "caps.item=99", "caps.type=999", "rules.beside=99", "threads=1")


def derive(folder, *words, judgements=("csv", J), items=("csv", I), taxonomy=("csv", T)):
    """{task: {(left, right): label}}, the sides of a symmetric task in their order; and the record."""
    folder.mkdir(exist_ok=True)
    files = {"judgements": judgements, "items": items, "taxonomy": taxonomy}
    given = [f"{name}={put(folder / f'{name}.{file[0]}', file[1])}" for name, file in files.items() if file]
    output = folder / "pairs.parquet"
    command(["derive", *given, f"output={output}", *ALL, *words])
    pairs = {}
    for row in pq.read_table(output).to_pylist():
        sides = row["left"], row["right"]
        symmetric = row["task"] in ("type_type", "item_item", "query_query")
        pairs.setdefault(row["task"], {})[tuple(sorted(sides)) if symmetric else sides] = row["label"]
    return pairs, json.loads((folder / "pairs.derive.json").read_text())


def frame(kind, **columns):
    return pa.table({name: pa.array(values, kind(name)) for name, values in columns.items()})


NUMBERS = {
    "as they are": {},
    "parents with .0": {"taxonomy": ("csv", FLOATS)},
    "types with .00 and blanks": {"items": ("csv", I.replace(",12\n", ", 12.00 \n").replace(",22\n", ",22.\n"))},
    "ids of judgements": {"judgements": ("csv", J.replace(",1,", ",1.0,").replace(",2,", ", 2.00,"))},
    "ids of items": {"items": ("csv", I.replace("1,Lamp", "1.0,Lamp"))},
    "jsonl": {"items": ("jsonl", '{"item_id": 1.0, "title": "Lamp Lux", "product_type": "12.0"}\n'
                                 '{"item_id": 2, "title": "Fern pot", "product_type": "22"}\n')},
    "parquet of floats": {"taxonomy": ("parquet", pa.table({
        "type": pa.array([1, 11, 12, 2, 21, 22]), "parent": pa.array([None, 1.0, 11.0, None, 2.0, 21.0]),
        "name": ["Home", "Lighting", "Lamps", "Garden", "Plants", "Ferns"]}))},
    "parquet of texts": {"taxonomy": ("parquet", pa.table({
        "type": ["1", "11", "12", "2", "21", "22"], "parent": ["nan", "1.0", "11.0", "None", "2.0", "21.0"],
        "name": ["Home", "Lighting", "Lamps", "Garden", "Plants", "Ferns"]}))},
}  # fmt: skip


@pytest.mark.parametrize("name", NUMBERS)
def test_one_number_in_any_writing_is_one_id(tmp_path, name):
    pairs, record = derive(tmp_path, **NUMBERS[name])
    assert record["inputs"]["types"] == 6
    assert pairs["type_type"]["Lamps", "Lighting"] == 2
    assert pairs["item_type"]["Lamp Lux", "Lamps"] == 2
    assert pairs["query_item"]["red lamp", "Lamp Lux"] == 2


def test_a_query_id_is_one_in_any_writing_and_a_leading_zero_tells_ids_apart(tmp_path):
    queries = put(tmp_path / "q.csv", "query_id,query\n7.0,red lamp\n007,fern\n")
    judged = "query_id,item_id,label\n7,1,2\n7,2,0\n007,2,2\n007,1,0\n"
    pairs, _ = derive(tmp_path, f"queries={queries}", judgements=("csv", judged))
    assert pairs["query_item"]["red lamp", "Lamp Lux"] == pairs["query_item"]["fern", "Fern pot"] == 2


NO_PARENT = ["nan", "None", "NULL", "null", "<NA>", "\\N", "#N/A", "-", "0", "-1", " ", "Root", "<root>", "na",
             "undefined", "(none)", "''", "[]", "0.0"]  # fmt: skip


@pytest.mark.parametrize("named", [True, False])
def test_words_for_no_parent_are_no_types(tmp_path, named):
    tops = "".join(f"t{at},{word}{f',Top {at}' if named else ''}\n" for at, word in enumerate(NO_PARENT))
    tree = T if named else "".join(f"{line.rpartition(',')[0]}\n" for line in T.splitlines())
    _, record = derive(tmp_path, taxonomy=("csv", tree + tops))
    assert record["inputs"]["types"] == 6 + len(NO_PARENT)


WRITINGS = [("0012", "12"), ("1e3", "1000"), ("+12", "12"), ("12,0", "12"), ("b00A", "B00A"), ("\uff11\uff12", "12")]


@pytest.mark.parametrize(("theirs", "ours"), WRITINGS)
def test_ids_that_may_be_codes_stay_apart_and_the_remedy_names_the_near_one(tmp_path, theirs, ours):
    item, judged = I.replace("1,Lamp", f"{ours},Lamp"), f'query,item_id,label\nlamp,"{theirs}",2\n'
    with pytest.raises(
        UserError, match=rf"items\.csv has '{ours}' for '{re.escape(theirs)}': write ids alike; or add it"
    ):
        derive(tmp_path, judgements=("csv", judged), items=("csv", item))
    if ours == "12" and theirs.isascii():  # names and ids of types are folded as texts are
        with pytest.raises(UserError, match=rf"the taxonomy has '{re.escape(theirs)}' for '12': write ids alike"):
            derive(tmp_path, taxonomy=("csv", T.replace("12,11", f'"{theirs}",11')))


def test_whole_numbers_among_others_in_a_column_of_floats_are_ids(tmp_path):
    typed = pa.table(
        {"item_id": [1.0, 2.0, 1e15], "title": ["Lamp Lux", "Fern pot", "x"], "product_type": [12.0, 22.0, None]}
    )
    judged = pa.table({"query": ["a", "b", "b"], "item_id": [1.0, 2.0, 1e15], "label": [2.0, 0.0, 1.0]})
    pairs, _ = derive(tmp_path, judgements=("parquet", judged), items=("parquet", typed))
    assert pairs["query_item"] == {("a", "Lamp Lux"): 2, ("b", "Fern pot"): 0, ("b", "x"): 1}


def test_a_word_that_is_a_row_of_the_tree_is_a_type(tmp_path):
    _, record = derive(tmp_path, taxonomy=("csv", T + "0,,Zero\n5,0,Five\n"))
    assert (record["inputs"]["types"], record["inputs"]["parents"]) == (8, 5)


def test_a_parent_that_a_named_tree_lacks_is_a_fault(tmp_path):
    with pytest.raises(UserError, match="parent is no type of the tree: 1 row; remedy"):
        derive(tmp_path, taxonomy=("csv", T + "31,30,Tools\n"))


PATHS = "item_id,title,category\n1,Lamp A,Home > Lighting > Lamps\n2,Lamp B,HOME > LIGHTING > LAMPS\n"
PATHS += "3,Lamp C,Home > Lighting > Lamps\n4,Fern,Garden > Plants > Ferns\n"
FOLDED = "query,item_id,label\nlamp,1,2\nlamp,2,2\nlamp,4,0\n"


def test_types_that_differ_in_case_or_form_alone_are_one_in_the_commonest_writing(tmp_path):
    pairs, record = derive(tmp_path, judgements=("csv", FOLDED), items=("csv", PATHS), taxonomy=None)
    assert record["inputs"]["types"] == 6
    assert record["inputs"]["writings of types that another one stands for"] == 3
    assert pairs["item_type"]["Lamp B", "Lamps"] == 2
    tree = "type,parent\nCafé,\nLamps,CAFE\u0301\nlamps,Café\nFerns,Garden\n"
    typed = "item_id,title,product_type\n1,Lamp A,LAMPS\n4,Fern,ferns\n2,Lamp B,Lamps\n"
    pairs, record = derive(tmp_path, judgements=("csv", FOLDED), items=("csv", typed), taxonomy=("csv", tree))
    assert (record["inputs"]["types"], record["faults"]) == (4, [])
    assert pairs["type_type"]["Café", "Lamps"] == pairs["item_type"]["Lamp A", "Lamps"] == 2


def test_a_parent_in_another_writing_than_its_row_is_that_row(tmp_path):
    for tree in (
        T.replace("12,11,", "12,A1,").replace("11,1,", "a1,1,"),
        T.replace("21,2,", "bB,2,").replace(",21,", ",Bb,"),
    ):
        pairs, record = derive(tmp_path, taxonomy=("csv", tree))
        assert (record["inputs"]["types"], record["inputs"]["parents"], record["faults"]) == (6, 4, [])
        assert record["inputs"]["writings of types that another one stands for"] == 1
        assert pairs["type_type"]["Lamps", "Lighting"] == pairs["type_type"]["Ferns", "Plants"] == 2


FULL = "".join(chr(ord(letter) + 0xFEE0) for letter in "Lamps")


@pytest.mark.parametrize("leaf", ["Lamps ", "\u00a0Lamps", FULL, "Lamps\u200b", "La\u00admps"])
def test_types_that_differ_in_what_nobody_sees_are_one(tmp_path, leaf):
    items = PATHS.replace("HOME > LIGHTING > LAMPS", f"Home > Lighting > {leaf}")
    pairs, record = derive(tmp_path, judgements=("csv", FOLDED), items=("csv", items), taxonomy=None)
    assert record["inputs"]["types"] == 6
    assert pairs["item_type"]["Lamp B", "Lamps"] == 2


def test_ids_that_differ_in_case_with_other_names_stay_two_types(tmp_path):
    _, record = derive(tmp_path, taxonomy=("csv", T + "aB,,Beds\nAb,,Rugs\n"))
    assert record["inputs"]["types"] == 8


def test_what_the_tree_says_outweighs_draws(tmp_path):
    rows, at = ["type,parent,name"], 100
    for number in range(6):
        rows += [f"d{number},,Dept {number}", f"c{number},d{number},Clothing"]
        for leaf in ("Boys", "Girls"):
            at += 1
            rows.append(f"{at},c{number},{leaf}")
    typed = "item_id,title,product_type\n1,Lamp Lux,101\n2,Fern pot,104\n"
    pairs, record = derive(tmp_path, items=("csv", typed), taxonomy=("csv", "\n".join(rows) + "\n"))
    assert pairs["type_type"]["Boys", "Clothing"] == 2
    assert pairs["type_type"]["Boys", "Girls"] == 1
    assert pairs["item_type"]["Lamp Lux", "Boys"] == 2
    assert record["ledger"]["made"]["type_type"]["drawn"] > 0


def test_a_parent_beside_a_category_is_used(tmp_path):
    tree = "category,parent\nHome,\nLighting,Home\nLamps,Lighting\nGarden,\nPlants,Garden\nFerns,Plants\n"
    typed = I.replace(",12\n", ",Lamps\n").replace(",22\n", ",Ferns\n")
    for words in ((), ("read.taxonomy.columns={category: category}",)):
        pairs, record = derive(tmp_path, *words, items=("csv", typed), taxonomy=("csv", tree))
        assert (record["inputs"]["types"], record["inputs"]["parents"]) == (6, 4)
        assert pairs["type_type"]["Lamps", "Lighting"] == 2
    paths = "category,parent\nHome > Lamps,x\n"
    with pytest.raises(UserError, match=r"has parent beside category.*unname one"):
        derive(tmp_path, items=("csv", typed), taxonomy=("csv", paths))
    with pytest.raises(UserError, match="has type and category; name the one"):
        derive(tmp_path, taxonomy=("csv", "type,parent,category\n1,,Home\n"))


GRADES = {"yes": 2, "on": 1, "no": 0, "010": 0, "1_000": 2, "0x1": 1, "2024-01-01": 2, "1:30": 1, "~": 0, "NULL": 1}


@pytest.mark.parametrize("way", ["word", "key", "file"])
def test_grades_are_the_words_of_the_file(tmp_path, way):
    judged = "query,item_id,label\n" + "".join(f"query {at},1,{grade}\n" for at, grade in enumerate(GRADES))
    mapping = f"{{{', '.join(f'{grade}: {label}' for grade, label in GRADES.items())}}}"
    words = {
        "word": [f"grades={mapping}"],
        "key": [f"grades.{grade}={label}" for grade, label in GRADES.items()],
        "file": [f"source={put(tmp_path / 'own.yaml', f'grades: {mapping}')}"],
    }[way]
    pairs, _ = derive(tmp_path, *words, judgements=("csv", judged))
    assert [pairs["query_item"][f"query {at}", "Lamp Lux"] for at in range(len(GRADES))] == list(GRADES.values())


WORDS = {"on": "no", "b": "010", "c": "1_000", "d": "2024-01-01", "e": "true", "f": "null", "g": "1.10", "h": "Off"}


@pytest.mark.parametrize("way", ["word", "keys", "file"])
def test_where_and_columns_are_the_words_of_the_file(tmp_path, way):
    """The first row has the word of each column, each other row another word in one column."""
    mapping = f"{{{', '.join(f'{column}: {word}' for column, word in WORDS.items())}}}"
    words = {
        "word": [f"read.items.where={mapping}"],
        "keys": [f"read.items.where.{column}={word}" for column, word in WORDS.items()],
        "file": [f"source={put(tmp_path / 'own.yaml', f'read: {{items: {{where: {mapping}}}}}')}"],
    }[way]
    rows = [[*WORDS.values()], *([*WORDS.values()] for _ in WORDS)]
    for at, row in enumerate(rows[1:]):
        row[at] = "x"
    typed = "".join(f"{at},Item {at},{','.join(row)}\n" for at, row in enumerate(rows, 1))
    typed = f"item_id,title,{','.join(WORDS)}\n{typed}"
    judged = "query,item_id,label\na,1,2\nb,1,0\n"
    _, record = derive(tmp_path, *words, judgements=("csv", judged), items=("csv", typed), taxonomy=None)
    assert record["inputs"]["items"] == 1


def test_one_label_is_said_at_the_top(tmp_path, capsys):
    judged = "query,item_id,label\na,1,2\na,2,2\nb,1,2\n"
    derive(tmp_path, "validation_share=0.3", "test_share=0.3", judgements=("csv", judged), taxonomy=None,
           items=("csv", I))  # fmt: skip
    assert capsys.readouterr().out.startswith("one label only: all ")
    rows = "".join(f"query_item,q{at},i{at},2,{split}\n" for at, split in enumerate(("train", "validation", "test")))
    path = put(tmp_path / "p.csv", f"task,left,right,label,split\n{rows}")
    command(["validate", f"data.path={path}", f"outputs={tmp_path / 'o'}"])
    out = capsys.readouterr().out
    assert out.startswith("one label only: all 3 pairs have label 2 (relevant): ")
    assert out.count("one label only") == 1


GOOGLE = "# Google_Product_Taxonomy_Version: 2021-09-21\n"
NAMES = {"1": "Home", "11": "Home > Lighting", "12": "Home > Lighting > Lamps", "2": "Garden & More",
         "21": "Garden & More > Plants", "22": "Garden & More > Plants > Ferns"}  # fmt: skip


@pytest.mark.parametrize("ids", [True, False])
def test_the_taxonomy_of_google_is_read_as_published(tmp_path, ids):
    lines = [f"{number} - {path}" if ids else path for number, path in NAMES.items()]
    paths = "item_id,title,category\n1,Lamp Lux,Home > Lighting > Lamps\n2,Fern pot,Garden & More > Plants > Ferns\n"
    for items in (I, paths) if ids else (paths,):
        pairs, record = derive(tmp_path, items=("csv", items), taxonomy=("txt", GOOGLE + "\r\n".join(lines) + "\r\n"))
        assert (record["inputs"]["types"], record["inputs"]["parents"]) == (6, 4)
        assert pairs["type_type"]["Lamps", "Lighting"] == 2
        assert pairs["item_type"]["Fern pot", "Ferns"] == 2


def test_a_taxonomy_without_a_known_column_is_an_error_that_says_what_to_set(tmp_path):
    for kind, text in (("csv", "category_path\nHome > Lamps\n"), ("jsonl", '{"category_path": "A > B"}\n')):
        with pytest.raises(UserError, match=r"present: category_path; name it with read\.taxonomy\.columns=\{"):
            derive(tmp_path, taxonomy=(kind, text))


def test_a_named_column_wins_over_one_that_is_there(tmp_path):
    both = "item_id,title,product_type,category\n1,Lamp Lux,12,x\n2,Fern pot,22,y\n"
    for words in ("{product_type: product_type}", "{category: null}"):
        pairs, _ = derive(tmp_path, f"read.items.columns={words}", items=("csv", both))
        assert pairs["item_type"]["Lamp Lux", "Lamps"] == 2
    with pytest.raises(UserError, match="has product_type and category; leave one out: name"):
        derive(tmp_path, items=("csv", both))
    with pytest.raises(UserError, match=r"read\.items\.columns=\{item_id: null\}: is needed"):
        derive(tmp_path, "read.items.columns={item_id: null}")
    three = "type,parent,category\n" + "".join(f"{line.rpartition(',')[0]},x\n" for line in T.split("\n")[1:-1])
    assert (
        derive(tmp_path, "read.taxonomy.columns={category: null}", taxonomy=("csv", three))[1]["inputs"]["types"] == 6
    )


def test_a_list_written_as_text_is_read_or_named(tmp_path):
    listed = "item_id,title,category\n1,Lamp Lux,\"['Home', 'Lighting', 'Lamps']\"\n"
    listed += '2,"[\'Fern\', \'pot\']","[""Garden"", ""Plants"", ""Ferns""]"\n'
    pairs, _ = derive(tmp_path, items=("csv", listed), taxonomy=None)
    assert pairs["type_type"]["Lamps", "Lighting"] == 2
    assert pairs["item_type"]["Fern, pot", "Ferns"] == 2
    with pytest.raises(UserError, match="product_type is a list written as text: 2 rows; remedy: read it as a path"):
        derive(tmp_path, items=("csv", listed.replace("category", "product_type")), taxonomy=None)


LISTS = ["['Home', 'Lighting', 'Lamps']", "['Home' 'Lighting' 'Lamps']", "['Home'\n 'Lighting'\n 'Lamps']",
         "('Home', 'Lighting', 'Lamps')", "array(['Home', 'Lighting', 'Lamps'], dtype=object)",
         '["Home", "Lighting", "Lamps"]']  # fmt: skip


@pytest.mark.parametrize("text", LISTS)
def test_a_list_of_python_json_or_numpy_is_its_texts(tmp_path, text):
    cell = '"' + text.replace('"', '""') + '"'
    items = f"item_id,title,category\n1,{cell},{cell}\n2,Fern,Garden > Plants > Ferns\n"
    pairs, _ = derive(tmp_path, items=("csv", items), taxonomy=None)
    assert pairs["type_type"]["Lamps", "Lighting"] == 2
    assert pairs["item_type"]["Home, Lighting, Lamps", "Lamps"] == 2


RATED = [("red lamp", "1", 2), ("red lamp", "2", 0), ("fern", "2", 2), ("fern", "1", 0)]
BY_QUERY = {query: {item: grade for text, item, grade in RATED if text == query} for query in ("red lamp", "fern")}
EXPORTS = {
    "Quepid": {"case_name": "c", "queries": [{"query_text": text, "ratings": [
        {"doc_id": int(item), "rating": float(grade)} for item, grade in rated.items()]}
        for text, rated in BY_QUERY.items()]},
    "Quepid, a mapping": {"queries": [{"query_text": text, "ratings": rated} for text, rated in BY_QUERY.items()]},
    "Quepid, a book": {"name": "b", "query_doc_pairs": [{"query_text": text, "doc_id": item, "judgements": [
        {"rating": grade, "user_id": 1}]} for text, item, grade in RATED]},
    "RRE": {"index": "i", "id_field": "id", "topics": [{"description": "t", "query_groups": [{
        "name": text, "queries": [{"template": "t.json", "placeholders": {"$query": text}}],
        "relevant_documents": {str(grade): [item] for item, grade in rated.items()}}]}
        for text, rated in BY_QUERY.items()]},
    "RRE, gains": {"query_groups": [{"queries": [{"placeholders": {"$query": text}}],
        "relevant_documents": {item: {"gain": grade} for item, grade in rated.items()}}
        for text, rated in BY_QUERY.items()]},
    "rank_eval": {"requests": [{"id": f"q {text}", "request": {"query": {"match": {"title": text}}}, "ratings": [
        {"_index": "shop", "_id": item, "rating": grade} for item, grade in rated.items()]}
        for text, rated in BY_QUERY.items()]},
    "rank_eval by template": {"templates": [], "requests": [{"id": text, "template_id": "t", "params": {
        "query_string": text}, "ratings": [{"_index": "shop", "_id": item, "rating": grade}
        for item, grade in rated.items()]} for text, rated in BY_QUERY.items()]},
    "OpenSearch": {"name": "l", "judgmentRatings": [{"query": text, "ratings": [
        {"docId": item, "rating": f"{grade}.000"} for item, grade in rated.items()]}
        for text, rated in BY_QUERY.items()]},
    "under any name": {"size": 2, "results": [{"q": text, "docs": [
        {"documentId": item, "relevance": grade} for item, grade in rated.items()]}
        for text, rated in BY_QUERY.items()]},
    "under judgments": {"judgments": [{"query": text, "ratings": rated} for text, rated in BY_QUERY.items()]},
    "qrels": BY_QUERY,
    "qrels in a key": {"qrels": BY_QUERY},
    "lists by query": {text: [{"_id": item, "grade": grade} for item, grade in rated.items()]
                       for text, rated in BY_QUERY.items()},
    "a list": [{"query": text, "ratings": [{"doc_id": item, "rating": grade} for item, grade in rated.items()]}
               for text, rated in BY_QUERY.items()],
}  # fmt: skip


@pytest.mark.parametrize("name", EXPORTS)
def test_nested_judgements_are_read(tmp_path, name):
    pairs, _ = derive(tmp_path, judgements=("json", EXPORTS[name]))
    titles = {"1": "Lamp Lux", "2": "Fern pot"}
    assert pairs["query_item"] == {(query, titles[item]): grade for query, item, grade in RATED}


def test_nested_judgements_may_be_lines_of_names_of_their_own(tmp_path):
    lines = [{"question": text, "ratings": [{"sku": item, "score": grade} for item, grade in rated.items()]}
             for text, rated in BY_QUERY.items()]  # fmt: skip
    text = "".join(json.dumps(line) + "\n" for line in lines)
    words = "read.judgements.columns={query: question, item_id: sku, label: score}"
    for kind, content in (("jsonl", text), ("jsonl.gz", gzip.compress(text.encode())), ("json", lines)):
        assert derive(tmp_path, words, judgements=(kind, content))[0]["query_item"]["red lamp", "Lamp Lux"] == 2
    with pytest.raises(UserError, match="has no column query, item_id, label; present: question, score, sku"):
        derive(tmp_path, judgements=("jsonl", text))
    with pytest.raises(UserError, match="an entry holds no ratings, others of its list do"):
        derive(tmp_path, words, judgements=("jsonl", text + '{"question": "x"}\n'))


def test_nested_judgements_may_name_queries_by_id_and_items_may_have_ratings(tmp_path):
    queries = put(tmp_path / "q.csv", "query_id,query\n7,red lamp\n8,fern\n")
    lines = "".join(json.dumps({"query_id": n, "ratings": {"1": 2, "2": 0}}) + "\n" for n in (7, 8))
    items = [{"item_id": 1, "title": "Lamp Lux", "ratings": [5, 4]}, {"item_id": 2, "title": "Fern pot", "ratings": []}]
    pairs, record = derive(
        tmp_path, f"queries={queries}", judgements=("jsonl", lines), items=("json", items), taxonomy=None
    )
    assert pairs["query_item"]["red lamp", "Lamp Lux"] == pairs["query_item"]["fern", "Lamp Lux"] == 2
    assert record["inputs"]["items"] == 2


def test_texts_of_an_archive_are_read_where_it_holds_no_table(tmp_path, capsys):
    lines = "\n".join(f"{number} - {path}" for number, path in NAMES.items())
    tree = zipped({"readme.txt": "hello", "taxonomy.txt": GOOGLE + lines})
    assert derive(tmp_path, items=("zip", zipped({"a.txt": I})), taxonomy=("zip", tree))[1]["inputs"]["types"] == 6
    assert "taxonomy.zip: not read: readme.txt" in capsys.readouterr().err


def test_the_encoding_of_an_input_is_named_with_its_setting(tmp_path):
    items = (I + "3,“Lampe” 5 €,12\n").encode("cp1252")
    with pytest.raises(UserError, match=r"or give read\.items\.encoding=cp1252"):
        derive(tmp_path, items=("csv", items))
    assert derive(tmp_path, "read.items.encoding=cp1252", items=("csv", items))[1]["inputs"]["items"] == 3
    pairs, record = derive(tmp_path, items=("csv", I.replace("Lux", "\x93Lux\x94")))
    assert pairs["query_item"]["red lamp", "Lamp “Lux”"] == 2
    assert record["inputs"]["items: control characters read as signs of cp1252"] == 1


def test_a_first_line_that_is_a_row_is_named_with_its_setting(tmp_path):
    with pytest.raises(UserError, match=r"where the first line is a row: read\.items\.header="):
        derive(tmp_path, items=("csv", I.partition("\n")[2]))


def test_the_text_of_a_judgement_that_its_query_id_contradicts_is_a_fault(tmp_path):
    queries = put(tmp_path / "q.csv", "query_id,query\n7,red lamp\n8,fern\n")
    judged = "query_id,query,item_id,label\n7,Red  Lamp,1,2\n8,,2,2\n8,lamp,1,0\n"
    with pytest.raises(UserError, match="query differs from the text of its query_id in the queries: 1 row"):
        derive(tmp_path, f"queries={queries}", judgements=("csv", judged))


def test_the_small_shop_is_as_it_was(tmp_path):
    pairs, record = derive(tmp_path, judgements=("csv", JUDGEMENTS), items=("csv", ITEMS), taxonomy=("csv", TREE))
    assert (record["inputs"]["types"], record["faults"]) == (5, [])
    assert pairs["type_type"]["Chairs", "Furniture"] == 2
