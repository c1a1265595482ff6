"""What a database cannot do is said in one line."""

import threading

import pyarrow as pa
import pytest

from relevance.data.database import opened
from relevance.errors import UserError

LONG = "SELECT count(*) FROM range(1000000000) a(x), range(1000) b(y) WHERE (x * y) % 7 = 3"


def test_too_little_memory_is_an_error_that_says_which_setting_to_raise(tmp_path):
    said = r"memory: too little for the database \(.*; raise memory="
    with pytest.raises(UserError, match=said), opened(tmp_path, "1MB", 1) as database:
        database.make("numbers", "SELECT x, x::VARCHAR AS y FROM range(1000000) t(x)")


def test_a_query_that_is_interrupted_is_ctrl_c(tmp_path):
    with opened(tmp_path, "100MB", 1) as database:
        ended = threading.Event()

        def interrupt():
            while not ended.wait(0.2):  # one that comes before the query is lost
                database._connection.interrupt()

        timer = threading.Thread(target=interrupt)
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            database.rows(LONG)
        ended.set()
        timer.join()


def test_chunks_are_the_whole(tmp_path):
    with opened(tmp_path, "100MB", 1) as database:
        database.put("numbers", pa.table({"x": range(10_000)}))
        chunks = list(database.chunks("SELECT x FROM numbers WHERE x % 3 = 0", 1000))
        assert sorted(pa.concat_tables(chunks)["x"].to_pylist()) == list(range(0, 10_000, 3))
        assert not sum(len(chunk) for chunk in database.chunks("SELECT x FROM numbers WHERE x < 0", 1000))
