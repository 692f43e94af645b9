"""What mtlkit itself registers, through the same door as every plugin."""

from typing import TYPE_CHECKING

from mtlkit.hooks import hookimpl

if TYPE_CHECKING:
    from mtlkit.catalog import Registrar


@hookimpl
def mtlkit_register(catalog: "Registrar") -> None:
    """Every built-in component, by family; none is imported before it is used."""
    at = "mtlkit.backbones.configs"
    catalog.backbones.add("casia-net", f"{at}:CasiaNet", "CASIA-Net with batch norm, 320 features")
    catalog.backbones.add("timm", f"{at}:Timm", "any model of timm, by its name")
    catalog.backbones.add("mlp", f"{at}:Mlp", "fully connected layers, for tables")

    at = "mtlkit.heads.configs"
    catalog.heads.add("classification", f"{at}:Classification", "one of several classes")
    catalog.heads.add("regression", f"{at}:Regression", "a number, by squared error")

    at = "mtlkit.routing.configs"
    catalog.routers.add("shared", f"{at}:Shared", "every head sees the shared features")
    catalog.routers.add("grouped", f"{at}:Grouped", "branches for groups of samples")
    at = "mtlkit.routing.soft_sharing"
    catalog.routers.add("cross-stitch", f"{at}:CrossStitch", "a network for each task, stitched")
    catalog.routers.add("mmoe", f"{at}:Mmoe", "experts for all tasks, a gate for each")
    catalog.routers.add("cgc", f"{at}:Cgc", "experts for all tasks beside experts of each")
    catalog.routers.add("ple", f"{at}:Ple", "several levels of cgc, one on the other")
    catalog.routers.add("mtan", f"{at}:Mtan", "an attention of each task to shared features")
    catalog.routers.add("dselect-k", f"{at}:DselectK", "a sparse choice of k experts for each task")
    catalog.routers.add("learn-to-branch", f"{at}:LearnToBranch", "a tree with learned branches")
    at = "mtlkit.routing.configs"
    catalog.branches.add("linear", f"{at}:LinearBranch", "a head of its own for each group")
    catalog.branches.add("block", f"{at}:BlockBranch", "a last block of its own for each group")

    at = "mtlkit.weighting.configs"
    catalog.weightings.add("fixed", f"{at}:Fixed", "constant weights, by name")
    catalog.weightings.add("equal", f"{at}:Equal", "the same weight for every side task")
    catalog.weightings.add("uncertainty", f"{at}:Uncertainty", "learned uncertainty (Kendall 2018)")
    catalog.weightings.add("dynamic", f"{at}:Dynamic", "a softmax of features (Yin & Liu 2018)")

    catalog.data.add("images", "mtlkit.data.images:Images", "a folder of images with labels")

    at = "mtlkit.optim.configs"
    catalog.optimizers.add("sgd", f"{at}:Sgd", "gradient descent with momentum")
    catalog.optimizers.add("adamw", f"{at}:AdamW", "Adam with decoupled weight decay")
    catalog.schedules.add("constant", f"{at}:Constant", "the same learning rate throughout")
    catalog.schedules.add("cosine", f"{at}:Cosine", "half a cosine down to a floor")
    catalog.schedules.add("steps", f"{at}:Steps", "drops at given parts of training")

    at = "mtlkit.evaluation.configs"
    catalog.evaluators.add("tasks", f"{at}:TaskMetrics", "loss and metrics of every task")

    at = "mtlkit.loggers.configs"
    catalog.loggers.add("jsonl", f"{at}:JsonLines", "one JSON object a line")
    catalog.loggers.add("tensorboard", f"{at}:TensorBoard", "event files for TensorBoard")
