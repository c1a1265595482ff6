"""A sweep of parallel cells into an `mlflow server` on Postgres, both started here on loopback; then without them."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from relevance.tracking import Store

ROOT = Path(__file__).parents[2]
BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
pytestmark = [
    pytest.mark.skipif(not BINARIES, reason="needs Debian's postgresql: make test-services"),
    pytest.mark.skipif(not shutil.which("runuser"), reason="needs runuser: Postgres refuses to run as root"),
]


def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.fixture(scope="module")
def postgres(tmp_path_factory):
    pytest.importorskip("psycopg", reason="needs psycopg: make test-services")
    folder, number = Path("/var/tmp") / f"relevance-pg-{os.getpid()}", port()
    folder.mkdir()
    shutil.chown(folder, "postgres")
    admin = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []

    def tool(name: str, *more: str) -> None:
        subprocess.run([*admin, str(BINARIES[-1] / name), *more], check=True, capture_output=True, cwd=folder)

    tool("initdb", "-D", f"{folder}/data", "-A", "trust", "-U", "mlflow")
    options = f"-p {number} -k {folder} -c listen_addresses=127.0.0.1"
    tool("pg_ctl", "-D", f"{folder}/data", "-w", "-l", f"{folder}/log", "-o", options, "start")
    tool("createdb", "-h", "127.0.0.1", "-p", str(number), "-U", "mlflow", "runs")
    yield f"postgresql://mlflow@127.0.0.1:{number}/runs"
    tool("pg_ctl", "-D", f"{folder}/data", "-m", "immediate", "stop")
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def server(postgres, tmp_path_factory):
    folder, number = tmp_path_factory.mktemp("server"), port()
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", postgres, "--workers", "2"]
    command += ["--artifacts-destination", str(folder), "--host", "127.0.0.1", "--port", str(number)]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    address, end = f"http://127.0.0.1:{number}", time.monotonic() + 120
    while time.monotonic() < end:
        try:
            urllib.request.urlopen(f"{address}/health", timeout=1).read()
            break
        except OSError:
            time.sleep(0.5)
    yield address
    os.killpg(process.pid, 9)
    process.wait()


def test_parallel_cells_log_to_a_server_on_postgres(server, tmp_path):
    launcher = ["hydra/launcher=ray", "hydra.launcher.cpus_per_cell=1"] if _ray() else []
    command = [
        *(sys.executable, "-m", "relevance.run", "-m", *launcher, "routing=prefix,mh", "model=ce,llm", "data.rows=300"),
        *("trainer.max_epochs=1", "probes=false", "consistency=false", f"outputs={tmp_path}/outputs"),
        *(f"tracking_uri={server}", "name=server"),
    ]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=500, check=False)
    assert found.returncode == 0, found.stderr
    store = Store(server, "relevance", tmp_path / "outputs")
    runs = store.runs("tags.kind = 'cell'")
    assert [run.info.status for run in runs] == ["FINISHED"] * 4
    assert all(run.outputs.model_outputs for run in runs)
    again = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=500, check=False)
    assert again.stderr.count("finished before") == 4
    places = [f"tracking_uri={server}", f"outputs={tmp_path}/outputs"]
    for command, told in (("status", "4 cells: 4 finished"), ("report", "4 finished")):
        words = [sys.executable, "-m", f"relevance.{command}", *places]
        words += [f"reports={tmp_path}/reports"] if command == "report" else []
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
        assert told in done.stdout, done.stderr


def _ray() -> bool:
    try:
        import ray  # noqa: F401
    except ImportError:
        return False
    return True
