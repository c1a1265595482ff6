"""Words and files of settings → options, or one error over what cannot be."""

import pytest
from little import put, shop

from relevance.derive.commands import FOLDER, DeriveOptions, options
from relevance.errors import UserError

GIVEN = ["judgements=j.csv", "items=i.csv", "output=pairs.parquet"]


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.yaml")))
def test_each_source_fills_the_options_and_words_come_before_it(name):
    made = options([f"source={name}", *GIVEN, "read.items.columns={title: my_title}", "seed=7"])
    assert (made.source, made.seed, made.read.items.columns["title"]) == (name, 7, "my_title")
    assert made.grades or name == "bestbuy"


def test_texts_are_taken_as_they_are_written():
    words = {
        "items": "*.csv", "judgements": "[a] {b}.csv", "taxonomy": "2024", "output": "c: d#.parquet",
        "read.text": "{title}. {brand}", "read.separator": ":",
    }  # fmt: skip
    made = options([f"{key}={text}" for key, text in words.items()])
    assert (made.items, made.judgements, made.taxonomy, made.output) == tuple(words.values())[:4]
    assert (made.read.text, made.read.separator) == ("{title}. {brand}", ":")
    quoted = options([*GIVEN, "read.text='{title}'", 'read.separator=" / "', "taxonomy=null"])
    assert (quoted.read.text, quoted.read.separator, quoted.taxonomy) == ("{title}", " / ", None)


WRONG = {
    "no output": (["output=null"], "output: is missing; give output=FILE"),
    "no items": (["items=null", "judgements=null"], "items: is missing; give items=FILE"),
    "items of judgements": (["items=null", "taxonomy=t.csv"], "judgements=j.csv: need the items they are of"),
    "judgements of queries": (["judgements=null", "queries=q.csv"], "queries=q.csv: are texts of judgements"),
    "labels": (["grades={a: 3}"], r"grades=\{'a': 3\}: labels are 0 \(irrelevant\), 1 .* and 2"),
    "grades": (["grades={1: 2, '1': 0}"], r"grades=\{1: 2, '1': 0\}: 1 is given twice"),
    "grades of one number": (["grades={1: 2, '1.0': 0}"], "1 is given twice"),
    "shares": (["test_share=1"], r"validation_share=0\.08 test_share=1\.0: both must be above 0"),
    "no share": (["test_share=nan"], "both must be above 0"),
    "seed": (["seed=-1"], "seed=-1: must be from 0 to"),
    "large seed": ([f"seed={2**63}"], "seed=.*: must be from 0 to"),
    "threads": (["threads=0"], "threads=0: must be from 1 to"),
    "more threads": (["threads=100000"], "threads=100000: must be from 1 to"),
    "memory": (["memory=2"], "memory=2: give a number and a unit"),
    "template": (["read.text=title"], "read.text=title: names no column"),
    "our own names": (["read.text={title} {row}"], r"\['row'\] are names of ours; .*read.items.columns=\{other: row\}"),
    "separator": (["read.separator=''"], "read.separator=: is empty"),
    "longest": (["read.longest=0"], "read.longest=0: must be 1 or more"),
    "columns": (["read.items.columns={titel: x}"], r"read.items.columns=\['titel'\]: our names are item_id, title"),
    "columns of queries": (["read.queries.columns={id: x}"], r"read.queries.columns=\['id'\]: our names are query_id"),
    "a list of columns": (["read.items.where={a: [b]}"], r"read.items=\[\"a: \['b'\]\"\]: give one text"),
    "delimiter": (["read.items.delimiter=;;"], "read.items.delimiter=';;': must be one character; a tab is"),
    "line as delimiter": (['read.items.delimiter="\\n"'], "must be one character"),
    "rules": (["rules.off=[own tipe]"], r"rules.off=\['own tipe'\]: available: judged, "),
    "share": (["rules.overlap=1.5"], r"rules.overlap=1\.5: must be above 0 and at most 1"),
    "count": (["caps.item=0"], "caps.item=0: must be 1 or more"),
    "draws": (["rules.draws=-1"], "rules.draws=-1: must be 0 or more"),
    "tasks": (["tasks.item_tipe.rows=1"], r"tasks=\['item_tipe'\]: available: query_item"),
    "rows": (["tasks.item_item.rows=0"], r"tasks.item_item.rows=0: must be 1 or more"),
    "balance": (["tasks.item_item.balance=[nan,1,1]"], r"tasks.item_item.balance=\[nan, .*: give the shares"),
    "cosine": (["similarity.above=2", "similarity.kind=lexical"], r"similarity.above=2\.0: a cosine is from -1 to 1"),
    "no vectors": (["similarity.mine=3"], "similarity.kind=off: cannot mine or filter; choose"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_is_an_error_with_what_can(name):
    words, said = WRONG[name]
    with pytest.raises(UserError, match=f"(?s)derive:\n  .*{said}"):
        options([*GIVEN, *words])


def test_all_that_cannot_be_is_one_error():
    with pytest.raises(UserError) as caught:
        options([*GIVEN, "seed=-1", "threads=0", "caps.item=0", "read.text=x"])
    assert len(str(caught.value).splitlines()) == 5


@pytest.mark.parametrize("key", ["source", "read.itmes.columns", "on_bad_row", "grades", "read.longest"])
def test_an_unknown_key_or_word_is_an_error_that_lists_those_there_are(key):
    with pytest.raises(UserError, match="available: "):
        options([*GIVEN, f"{key}=nonsense"])


OWN = {
    "wrong key": ("reed:\n  x: 1\n", "reed: Key 'reed' not in .*did you mean seed"),
    "wrong type": ("read:\n  longest: long\n", "read.longest: Value 'long'"),
    "list": ("- 1\n", "holds a list; give keys such as grades"),
    "torn": ("grades: {1: [\n", r"is no YAML \(.*\); mend it"),
    "bytes": (b"\xff\xfe\x00", r"is no YAML \(.*\); mend it"),
}


@pytest.mark.parametrize("name", OWN)
def test_a_file_of_ones_own_that_cannot_be_read_is_named(tmp_path, name):
    content, said = OWN[name]
    path = put(tmp_path / "own.yaml", content)
    with pytest.raises(UserError, match=f"(?s)source={path}: .*{said}"):
        options([f"source={path}", *GIVEN])


def test_a_file_of_ones_own_is_read_as_ours_are(tmp_path):
    path = put(tmp_path / "own.yaml", "grades: {yes: 2, 0.5: 1}\nread: {items: {columns: {title: name}}}\n")
    made = options([f"source={path}", *shop(tmp_path)])
    assert isinstance(made, DeriveOptions)
    assert made.grades == {"yes": 2, "0.5": 1}
    put(path, "")
    assert options([f"source={path}", *shop(tmp_path)]).grades == {}
