"""What mtlkit itself registers, through the same door as every plugin."""

from typing import TYPE_CHECKING

from mtlkit.plugins.hooks import hookimpl

if TYPE_CHECKING:
    from mtlkit.plugins.catalog import Registrar


@hookimpl
def mtlkit_register(catalog: "Registrar") -> None:
    """Every built-in component, by family; none is imported before it is used."""
    at = "mtlkit.backbones._configs"
    catalog.backbones.add("casia-net", f"{at}:CasiaNet", "CASIA-Net with batch norm, 320 features")
    catalog.backbones.add("timm", f"{at}:TimmModel", "any model of timm, by its name")
    catalog.backbones.add("mlp", f"{at}:MLP", "fully connected layers, for tables")

    at = "mtlkit.heads._configs"
    catalog.heads.add("classification", f"{at}:Classification", "one of several classes")
    catalog.heads.add("margin", f"{at}:Margin", "classes by angle: ArcFace, CosFace, AdaFace")
    catalog.heads.add("regression", f"{at}:Regression", "a number, by squared error")

    at = "mtlkit.routers._configs"
    catalog.routers.add("shared", f"{at}:Shared", "every head sees the shared features")
    catalog.routers.add("grouped", f"{at}:Grouped", "branches for groups of samples")
    at = "mtlkit.routers._soft_sharing"
    catalog.routers.add("cross-stitch", f"{at}:CrossStitch", "a network for each task, stitched")
    catalog.routers.add("mmoe", f"{at}:MMoE", "experts for all tasks, a gate for each")
    catalog.routers.add("cgc", f"{at}:CGC", "experts for all tasks beside experts of each")
    catalog.routers.add("ple", f"{at}:PLE", "several levels of cgc, one on the other")
    catalog.routers.add("mtan", f"{at}:MTAN", "an attention of each task to shared features")
    catalog.routers.add("dselect-k", f"{at}:DSelectK", "a sparse choice of k experts for each task")
    catalog.routers.add("learn-to-branch", f"{at}:LearnToBranch", "a tree with learned branches")
    at = "mtlkit.routers._configs"
    catalog.branches.add("linear", f"{at}:LinearBranch", "a head of its own for each group")
    catalog.branches.add("block", f"{at}:BlockBranch", "a last block of its own for each group")

    at = "mtlkit.weightings.configs"
    catalog.weightings.add("fixed", f"{at}:Fixed", "constant weights, by name")
    catalog.weightings.add("equal", f"{at}:Equal", "the same weight for every side task")
    _losses(catalog, at)
    _gradients(catalog, at)

    catalog.data.add("images", "mtlkit.data.images:Images", "a folder of images with labels")
    catalog.data.add("table", "mtlkit.data.table:Table", "the rows of a table, some columns labels")

    at = "mtlkit.optim.base"
    catalog.optimizers.add("sgd", f"{at}:SGD", "gradient descent with momentum")
    catalog.optimizers.add("adamw", f"{at}:AdamW", "Adam with decoupled weight decay")
    catalog.schedules.add("constant", f"{at}:Constant", "the same learning rate throughout")
    catalog.schedules.add("cosine", f"{at}:Cosine", "half a cosine down to a floor")
    catalog.schedules.add("steps", f"{at}:Steps", "drops at given parts of training")

    at = "mtlkit.evaluators.base"
    catalog.evaluators.add("tasks", f"{at}:TaskMetrics", "loss and metrics of every task")

    at = "mtlkit.loggers.base"
    catalog.loggers.add("jsonl", f"{at}:JsonLines", "one JSON object a line")
    catalog.loggers.add("tensorboard", f"{at}:TensorBoard", "event files for TensorBoard")
    _ops(catalog, "mtlkit.ops.configs")


def _ops(catalog: "Registrar", at: str) -> None:
    """What heads compute."""
    add = catalog.ops.add
    add("linear_cross_entropy", f"{at}:LinearCrossEntropy", "cross-entropy of a linear map")
    add("multi_head_cross_entropy", f"{at}:MultiHeadCrossEntropy", "several heads, and a gate")
    add("gate", f"{at}:Gate", "the shares of tasks by a softmax over the features")
    add("grouped_linear_cross_entropy", f"{at}:GroupedLinearCrossEntropy", "by a row's own head")
    add("margin_cross_entropy", f"{at}:MarginCrossEntropy", "ArcFace, CosFace, both, AdaFace")
    add("sampled_margin_cross_entropy", f"{at}:SampledMarginCrossEntropy", "of sampled classes")
    add("match_template", f"{at}:MatchTemplate", "templates for the scores of Yin & Liu, eq. 12")
    add("match_scores", f"{at}:MatchScores", "the best of a gallery")


def _losses(catalog: "Registrar", at: str) -> None:
    """Weightings of losses, from those that learn to those that only look."""
    add = catalog.weightings.add
    add("uncertainty", f"{at}:Uncertainty", "learned uncertainty (Kendall 2018)")
    add("bounded-uncertainty", f"{at}:BoundedUncertainty", "never below 0 (Liebel & Koerner 2018)")
    add("dynamic", f"{at}:Dynamic", "a softmax of features (Yin & Liu 2018)")
    add("harder-first", f"{at}:HarderFirst", "such a softmax for the harder task (Ming 2019)")
    add("imtl-l", f"{at}:IMTLL", "learned scales (Liu 2021)")
    add("log", f"{at}:Log", "the sum of log losses, scale-invariant (SI)")
    add("gls", f"{at}:GLS", "the geometric mean (Chennupati 2019)")
    add("stch", f"{at}:STCH", "a smooth maximum (Lin 2024)")
    add("dwa", f"{at}:DWA", "by the change over epochs (Liu 2019)")
    add("cov", f"{at}:CoV", "by the coefficient of variation (Groenendijk 2021)")
    add("rlw", f"{at}:RLW", "random weights, a placebo (Lin 2022)")
    add("famo", f"{at}:FAMO", "by the change in an update (Liu 2023)")


def _gradients(catalog: "Registrar", at: str) -> None:
    """Weightings of gradients."""
    add = catalog.weightings.add
    add("gradnorm", f"{at}:GradNorm", "similar training rates (Chen 2018)")
    add("mgda", f"{at}:MGDA", "the shortest combination (Sener & Koltun 2018)")
    add("pcgrad", f"{at}:PCGrad", "conflicts projected away (Yu 2020)")
    add("gradvac", f"{at}:GradVac", "cosines kept (Wang 2021)")
    add("imtl-g", f"{at}:IMTLG", "equal projections (Liu 2021)")
    add("cagrad", f"{at}:CAGrad", "the best worst case near the mean (Liu 2021)")
    add("nash-mtl", f"{at}:NashMTL", "the Nash bargaining solution (Navon 2022)")
    add("fairgrad", f"{at}:FairGrad", "alpha-fair shares of the progress (Ban & Ji 2024)")
    add("aligned-mtl", f"{at}:AlignedMTL", "orthogonal, equally long (Senushkin 2023)")
    add("db-mtl", f"{at}:DBMTL", "log losses, equally long gradients (Lin 2023)")
    add("moco", f"{at}:MoCo", "MGDA on running means (Fernando 2023)")
    add("excess-mtl", f"{at}:ExcessMTL", "by excess risk (He 2024)")
    add("cr-mogm", f"{at}:CRMOGM", "the averaged weights of another scheme (Zhou 2022)")
    add("modo", f"{at}:MoDo", "MGDA by double sampling (Chen 2024)")
    add("sdmgrad", f"{at}:SDMGrad", "between MGDA and the mean (Xiao 2023)")
    add("auto-lambda", f"{at}:AutoLambda", "by what helps the main tasks (Liu 2022)")
