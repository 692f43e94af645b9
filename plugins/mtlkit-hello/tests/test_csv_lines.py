"""The logger `csv`."""

from mtlkit.callbacks import StepEvent
from mtlkit_hello.csv_lines import CSVLines


def log(folder, start, *steps):
    writer = CSVLines().open(folder, start)
    for step in steps:
        losses, weights = {"pose": step / 2}, {"pose": 1.0}
        writer.write(
            StepEvent(step=step, epoch=1.0, learning_rate=0.1, losses=losses, weights=weights)
        )
    writer.close()


def test_a_resumed_run_drops_the_lines_after_its_checkpoint(tmp_path):
    log(tmp_path, 0, 1, 2, 3)
    log(tmp_path, 2, 3, 4)
    lines = (tmp_path / "losses.csv").read_text().splitlines()
    assert lines == [
        "step,term,loss,weight",
        *("1,pose,0.5,1.0", "2,pose,1.0,1.0", "3,pose,1.5,1.0", "4,pose,2.0,1.0"),
    ]
