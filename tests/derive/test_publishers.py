"""Small files in the exact layouts of the publishers, all texts our own → pairs."""

import pyarrow as pa
import pyarrow.parquet as pq
from little import put, read, zipped

from relevance.derive.commands import options
from relevance.derive.derive import derive_pairs

PRODUCT = (
    "product_id\tproduct_name\tproduct_class\tcategory hierarchy\tproduct_description\tproduct_features\t"
    "rating_count\taverage_rating\treview_count\n"
    "0\toak bed 60 '' wide\tBeds\tFurniture / Bedroom Furniture / Beds\tsleep well\twidth:60|wood : oak\t15.0\t4.5\t9\n"
    '1\t"bench 36"" high"\tBenches|Bar Stools\tFurniture / Bar Furniture / TV/Benches\t"a\ttab, ""quotes"""\t\t\t\t\n'
    '2\trug 5" round\t\t\t"two\nlines"\tshape : round\t1.0\t5.0\t1.0\n'
)
LABEL = "id\tquery_id\tproduct_id\tlabel\n0\t0\t0\tExact\n1\t0\t1\tPartial\n2\t7\t1\tExact\n3\t7\t2\tIrrelevant\n"
QUERY = 'query_id\tquery\tquery_class\n0\toak bed\tBeds\n7\t"bench 36"" high"\tBenches\n8\trug\t\n'


def texts(words):
    """Left, right and label of each row, and its task, of the table that derive writes."""
    asked = options(words)
    derive_pairs(asked)
    rows = pq.read_table(asked.output).to_pylist()
    return {(row["task"], row["left"], row["right"]): row["label"] for row in rows}


def wands(folder):
    given = {"judgements": ("label", LABEL), "queries": ("query", QUERY), "items": ("product", PRODUCT)}
    files = [f"{setting}={put(folder / f'{name}.csv', text)}" for setting, (name, text) in given.items()]
    return ["source=wands", *files, f"output={folder / 'pairs.parquet'}"]


def test_wands(tmp_path):
    found = read(
        wands(tmp_path),
        "SELECT q.text, i.text, label FROM judged JOIN query q ON q.n = q JOIN item i ON i.n = i ORDER BY q.id, i.id",
        "SELECT item.id, type.text FROM item JOIN type ON t = type.n ORDER BY ALL",
        "SELECT id FROM type ORDER BY id",
    )
    assert found.rows[0] == [
        ("oak bed", "oak bed 60 '' wide", 2),
        ("oak bed", 'bench 36" high', 1),
        ('bench 36" high', 'bench 36" high', 2),
        ('bench 36" high', 'rug 5" round', 0),
    ]
    assert found.rows[1] == [("0", "Beds"), ("1", "TV/Benches")]
    assert ("Furniture > Bar Furniture > TV/Benches",) in found.rows[2]
    assert found.counts["items without a type"] == 1
    assert not found.faults
    tasks = {task for task, *_ in texts(wands(tmp_path))}
    assert {"query_item", "item_type", "type_type"} <= tasks


def test_wands_with_more_in_a_text(tmp_path):
    words = [*wands(tmp_path), "read.text={title}. {product_class} ({product_description})"]
    found = read(words, "SELECT text FROM item ORDER BY id")
    assert [text for (text,) in found.rows[0]] == [
        "oak bed 60 '' wide. Beds (sleep well)",
        'bench 36" high. Benches|Bar Stools (a tab, "quotes")',
        'rug 5" round (two lines)',
    ]


def esci(folder, labels):
    columns = {
        "example_id": [0, 1, 2, 3, 4],
        "query": ["usb cable", "usb cable", "usb cable", "kabel", "usb cable"],
        "query_id": [5, 5, 5, 6, 5],
        "product_id": ["B01", "B02", "B03", "B01", "B04"],
        "product_locale": ["us", "us", "us", "es", "us"],
        "esci_label": [labels[at] for at in (0, 1, 2, 0, 3)],
        "small_version": [0, 1, 1, 0, 1],
        "large_version": [1] * 5,
        "split": ["train", "train", "test", "train", "test"],
    }
    names = ["product_id", "product_title", "product_description", "product_bullet_point", "product_brand",
             "product_color", "product_locale"]  # fmt: skip
    rows = [
        ("B01", "cable 2 m", None, None, "Volt", None, "us"),
        ("B01", "cable de 2 m", None, None, "Volt", None, "es"),
        ("B02", "cable 1 m", "a text", "one\ntwo", None, "black", "us"),
        ("B03", "plug", None, None, "", "", "us"),
        ("B04", "hammer", None, None, "Anvil", "red", "us"),
    ]
    products = pa.table([list(column) for column in zip(*rows, strict=True)], names)
    index = {"__index_level_0__": pa.array(range(5))}  # pandas leaves one
    examples = put(folder / "shopping_queries_dataset_examples.parquet", pa.table(columns | index))
    catalogue = put(folder / "shopping_queries_dataset_products.parquet", products)
    return ["source=esci", f"judgements={examples}", f"items={catalogue}", f"output={folder / 'pairs.parquet'}"]


def test_esci_in_one_locale_with_letters_or_words(tmp_path):
    for labels in ("ESCI", ("Exact", "Substitute", "Complement", "Irrelevant")):
        made = texts(esci(tmp_path, labels))
        assert {right: label for (task, _, right), label in made.items() if task == "query_item"} == {
            "cable 2 m": 2, "cable 1 m": 1, "plug": 0, "hammer": 0,
        }  # fmt: skip
    found = read(esci(tmp_path, "ESCI"), "SELECT id, text FROM query")
    assert found.rows[0] == [("5", "usb cable")]
    assert found.counts["items: left out by read.items.where"] == 1
    assert found.counts["judgements: left out by read.judgements.where"] == 1


def test_esci_in_another_locale_with_more_in_a_text(tmp_path):
    us = [*esci(tmp_path, "ESCI"), "read.text={title}. {product_brand}"]
    found = read(us, "SELECT text FROM item ORDER BY id")
    assert found.rows[0] == [("cable 2 m. Volt",), ("cable 1 m",), ("plug",), ("hammer. Anvil",)]
    es = [f"read.{kind}.where={{product_locale: es}}" for kind in ("items", "judgements")]
    assert read([*us, *es], "SELECT text FROM item").rows[0] == [("cable de 2 m. Volt",)]


def test_chorus(tmp_path):
    ratings = "query,docid,rating\nlaptop,11,3\nlaptop,12,2\nlaptop,13,0\nscreen,13,1\n"
    first = (
        '[{"id": "11", "title": "Notebook", "attr_t_colour": "Black"}, {"id": "12", "title": "Netbook", "price": 1}]'
    )
    second = '[{"id": "13", "title": "Screen", "img_high": null}]'
    put(tmp_path / "1.json.zip", zipped({"1.json": first, "__MACOSX/._1.json": b"\0"}))
    put(tmp_path / "2.json.zip", zipped({"2.json": second}))
    words = [f"judgements={put(tmp_path / 'rated.csv', ratings)}", f"items={tmp_path}/*.json.zip"]
    made = texts(["source=chorus", *words, f"output={tmp_path / 'pairs.parquet'}"])
    assert made["query_item", "laptop", "Notebook"] == 2
    assert made["item_item", "Netbook", "Notebook"] == 1
    assert {task for task, *_ in made} == {"query_item", "item_item"}


def test_best_buy(tmp_path):
    audio, radios = {"id": "abcat1", "name": "Audio"}, {"id": "abcat2", "name": "Radios"}
    lost = {"id": "pcm9", "name": "Gone"}
    categories = [one | {"path": path, "subCategories": []} for one, path in (
        (audio, [audio]), (radios, [audio, radios]), ({"id": "c3", "name": "Clocks"}, [{"id": "c3", "name": "Clocks"}]),
    )]  # fmt: skip
    products = [
        {
            "sku": 43900,
            "name": "Radio",
            "type": "HardGood",
            "price": 5.49,
            "category": [audio, radios],
            "image": "x.jpg",
        },
        {"sku": 48530, "name": "Box", "type": "HardGood", "price": 7, "category": [audio, lost], "image": "y.jpg"},
    ]
    words = [
        f"items={put(tmp_path / 'products.json', products)}",
        f"taxonomy={put(tmp_path / 'categories.json', categories)}",
    ]
    words = ["source=bestbuy", *words, f"output={tmp_path / 'pairs.parquet'}", "on_bad_row=quarantine"]
    found = read(words, "SELECT item.id, type.id FROM item LEFT JOIN type ON t = type.n ORDER BY ALL")
    assert found.rows[0] == [("43900", "abcat2"), ("48530", None)]
    assert [(one["row"], one["value"]) for one in found.aside] == [("2", "'pcm9'")]
    made = texts(words)
    assert made["item_type", "Radio", "Radios"] == 2
    assert {task for task, *_ in made} <= {"item_type", "type_type"}
