"""A short slice of `make chaos`: one cell whose process is killed and whose checkpoint is torn; and what judges it."""

from random import Random

import forked
from small_sweep import furnish

from relevance.tracking import Store
from tools.chaos.ground import Ground
from tools.chaos.invariants import broken, repeated
from tools.chaos.trials import torn_checkpoint

ONE = ("model=llm", "routing=mh", "trainer.max_epochs=2", "isolate=false")


class Forked(Ground):
    """A ground whose command is a fork of this process, training included: `make chaos` pays for real ones."""

    def run(self, **environment: str) -> tuple[int, str]:
        if (self.folder / "said.txt").is_file():
            self.heard.append(self.said())
        code = forked.wait(forked.start(self.folder / "said.txt", *self.command()[2:], **environment))
        return code, self.said()


def test_a_killed_and_torn_cell_is_as_the_undisturbed_one_and_what_is_broken_is_named(tmp_path):
    calm, ground = (Forked(tmp_path / name, ONE) for name in ("calm", "disturbed"))
    for one in (calm, ground):
        one.folder.mkdir()
        furnish(one.folder)
    assert calm.run()[0] == 0
    assert torn_checkpoint(ground, Random(0)) == "step 5; last-4.ckpt cut in half"
    assert any("llm-mh" in one for one in broken(ground, calm))  # killed, and not asked again
    assert ground.run()[0] == 0
    assert broken(ground, calm) == []
    assert repeated(ground) == "llm-mh from step 2"
    _spoil(ground)
    found = broken(ground, calm)
    assert [one for one in found if "FINISHED FINISHED" in one or "FINISHED RUNNING" in one], found
    assert [one for one in found if one.startswith("predictions of")], found


def _spoil(ground: Ground) -> None:
    """A second run of the cell, and predictions that are not its own."""
    store = Store(ground.uri, "relevance", ground.outputs)
    (run,) = store.runs("tags.kind = 'cell'")
    store.start(run.info.run_name, {"kind": "cell", "fingerprint": run.data.tags["fingerprint"]}).end("FINISHED")
    (folder,) = (path.parent for path in ground.outputs.glob("cells/*/test.parquet"))
    (folder / "test.parquet").write_bytes((folder / "validation.parquet").read_bytes())
