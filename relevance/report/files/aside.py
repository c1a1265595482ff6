"""quarantine.csv, the rows that were set aside from a file of pairs → the same list without what they hold.

file,row,problem,value,remedy,task,left,right,... → file,row,problem,remedy
"""

import io

import pyarrow as pa
import pyarrow.csv

SHOWN = ("file", "row", "problem", "remedy")


def textless(aside: bytes) -> bytes:
    """The list as csv without values and cells; of one that has none, the same bytes."""
    names = pa.csv.open_csv(io.BytesIO(aside)).schema.names
    shown = [name for name in SHOWN if name in names]
    as_texts = pa.csv.ConvertOptions(include_columns=shown, column_types=dict.fromkeys(shown, pa.string()))
    lines = pa.csv.ParseOptions(newlines_in_values=True)
    written = io.BytesIO()
    pa.csv.write_csv(pa.csv.read_csv(io.BytesIO(aside), parse_options=lines, convert_options=as_texts), written)
    return written.getvalue()
