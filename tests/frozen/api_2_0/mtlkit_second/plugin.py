"""What the plugin registers."""

from mtlkit.plugins import hookimpl


@hookimpl
def mtlkit_register(catalog):
    at = "mtlkit_second.components"
    catalog.backbones.add("second/layer", f"{at}:Layer", "one layer")
    catalog.adapters.add("second/middle", f"{at}:Middle", "the pixel in the middle")
    catalog.heads.add("second/absolute", f"{at}:Absolute", "a number, by its absolute error")
    catalog.metrics.add("second/largest", f"{at}:Largest", "the largest error")
    catalog.routers.add("second/plain", f"{at}:Plain", "every head sees the features")
    catalog.branches.add("second/linear", f"{at}:Linear", "a head for each group")
    catalog.weightings.add("second/sum", f"{at}:Sum", "the plain sum")
    catalog.weightings.add("second/norms", f"{at}:Norms", "inverse gradient norms")
    catalog.weightings.add("second/direction", f"{at}:Direction", "the summed gradient")
    catalog.targets.add("second/angle", f"{at}:Angle", "an angle")
    catalog.data.add("second/numbers", f"{at}:Numbers", "random numbers")
    catalog.transforms.add("second/nudge", f"{at}:Nudge", "a little added")
    catalog.optimizers.add("second/descent", f"{at}:Descent", "plain descent")
    catalog.schedules.add("second/falling", f"{at}:Falling", "falls to zero")
    catalog.callbacks.add("second/steps", f"{at}:Steps", "a count of the updates")
    catalog.evaluators.add("second/count", f"{at}:Count", "how many samples there are")
    catalog.loggers.add("second/diary", f"{at}:Diary", "a line for each event")


@hookimpl
def mtlkit_commands():
    return {"second": "mtlkit_second.commands:second"}


@hookimpl
def mtlkit_run_started(run, event):
    note(run, f"started at step {event.step} on {run.device}")


@hookimpl
def mtlkit_step_logged(run, event):
    note(run, f"step {event.step}: {sorted(event.losses)}")


@hookimpl
def mtlkit_epoch_ended(run, event):
    note(run, f"epoch {event.epoch}")


@hookimpl
def mtlkit_evaluated(run, event):
    note(run, f"evaluated{' at the end' if event.final else ''}")


@hookimpl
def mtlkit_checkpoint_saved(run, event):
    note(run, f"saved {event.folder.name}")


@hookimpl
def mtlkit_run_ended(run, event):
    note(run, event.state)


@hookimpl
def mtlkit_report_sections(event):
    from mtlkit.evaluators import Section, Text

    return [Section(title="Second", blocks=(Text(text=f"{len(event.metrics)} metrics"),))]


def note(run, line):
    with (run.folder / "notes.txt").open("a", encoding="utf-8") as file:
        file.write(f"{line}\n")
