"""What the plugin registers."""

from mtlkit.hooks import hookimpl


@hookimpl
def mtlkit_register(catalog):
    at = "mtlkit_first.components"
    catalog.backbones.add("first/trunk", f"{at}:Trunk", "one layer")
    catalog.heads.add("first/absolute", f"{at}:Absolute", "a number, by its absolute error")
    catalog.routers.add("first/plain", f"{at}:Plain", "every head sees the features")
    catalog.branches.add("first/linear", f"{at}:Linear", "a head for each group")
    catalog.weightings.add("first/sum", f"{at}:Sum", "the plain sum")
    catalog.weightings.add("first/norms", f"{at}:Norms", "inverse gradient norms")
    catalog.weightings.add("first/direction", f"{at}:Direction", "the summed gradient")
    catalog.data.add("first/numbers", f"{at}:Numbers", "random numbers")
    catalog.optimizers.add("first/descent", f"{at}:Descent", "plain descent")
    catalog.schedules.add("first/falling", f"{at}:Falling", "falls to zero")
    catalog.evaluators.add("first/count", f"{at}:Count", "how many samples there are")
    catalog.loggers.add("first/diary", f"{at}:Diary", "a line for each event")


@hookimpl
def mtlkit_commands():
    return {"first": "mtlkit_first.commands:first"}
