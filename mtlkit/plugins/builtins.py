"""The built-in components, registered through the same hook as those of plugins."""

from typing import TYPE_CHECKING

from mtlkit.ops.builtins import BUILTIN_OPS
from mtlkit.plugins.hooks import hookimpl

if TYPE_CHECKING:
    from mtlkit.plugins.families import Registrar


@hookimpl
def mtlkit_register(catalog: "Registrar") -> None:
    """Register every built-in component by family; each is imported on first use."""
    catalog.backbones.add(
        "casia-net",
        "mtlkit.backbones.casia_net:CasiaNet",
        "CASIA-Net with batch norm, 320 features",
    )
    catalog.backbones.add(
        "timm", "mtlkit.backbones.timm_model:TimmModel", "any model of timm, by its name"
    )
    catalog.backbones.add("mlp", "mtlkit.backbones.mlp:MLP", "fully connected layers, for tables")

    catalog.heads.add(
        "classification", "mtlkit.heads.classification:Classification", "one of several classes"
    )
    catalog.heads.add(
        "margin", "mtlkit.heads.margin:Margin", "classes by angle: ArcFace, CosFace, AdaFace"
    )
    catalog.heads.add(
        "regression", "mtlkit.heads.regression:Regression", "a number, by squared error"
    )

    catalog.metrics.add(
        "accuracy", "mtlkit.metrics.accuracy:Accuracy", "the fraction of classes predicted"
    )
    catalog.metrics.add("mae", "mtlkit.metrics.mae:MAE", "the mean absolute error")
    catalog.metrics.add("rmse", "mtlkit.metrics.rmse:RMSE", "the root mean squared error")
    catalog.metrics.add("r2", "mtlkit.metrics.r2:R2", "the fraction of variance explained")

    catalog.routers.add(
        "shared", "mtlkit.routers.shared:Shared", "every head sees the shared features"
    )
    catalog.routers.add(
        "grouped", "mtlkit.routers.grouped:Grouped", "branches for groups of samples"
    )
    catalog.routers.add(
        "cross-stitch",
        "mtlkit.routers.cross_stitch:CrossStitch",
        "a network for each task, stitched",
    )
    catalog.routers.add(
        "mmoe", "mtlkit.routers.mmoe:MMoE", "experts for all tasks, a gate for each"
    )
    catalog.routers.add(
        "cgc", "mtlkit.routers.cgc:CGC", "experts for all tasks beside experts of each"
    )
    catalog.routers.add("ple", "mtlkit.routers.ple:PLE", "several levels of cgc, one on the other")
    catalog.routers.add(
        "mtan", "mtlkit.routers.mtan:MTAN", "an attention of each task to shared features"
    )
    catalog.routers.add(
        "dselect-k",
        "mtlkit.routers.dselect_k:DSelectK",
        "a sparse choice of k experts for each task",
    )
    catalog.routers.add(
        "learn-to-branch",
        "mtlkit.routers.learn_to_branch:LearnToBranch",
        "a tree with learned branches",
    )
    catalog.branches.add(
        "linear", "mtlkit.routers.linear_branch:LinearBranch", "a separate head for each group"
    )
    catalog.branches.add(
        "block", "mtlkit.routers.block_branch:BlockBranch", "a separate last block for each group"
    )

    catalog.weightings.add("fixed", "mtlkit.weightings.fixed:Fixed", "constant weights, by name")
    catalog.weightings.add(
        "equal", "mtlkit.weightings.equal:Equal", "the same weight for every side task"
    )
    _losses(catalog)
    _gradients(catalog)

    catalog.data.add("images", "mtlkit.data.images:Images", "a folder of images with labels")
    catalog.data.add("table", "mtlkit.data.table:Table", "the rows of a table, some columns labels")

    _optimization(catalog)
    _callbacks(catalog)

    catalog.evaluators.add(
        "tasks", "mtlkit.evaluators.task_metrics:TaskMetrics", "loss and metrics of every task"
    )

    catalog.loggers.add("jsonl", "mtlkit.loggers.json_lines:JsonLines", "one JSON object a line")
    catalog.loggers.add(
        "tensorboard", "mtlkit.loggers.tensorboard:TensorBoard", "event files for TensorBoard"
    )
    for name, (target, summary) in BUILTIN_OPS.items():
        catalog.ops.add(name, target, summary)


def _optimization(catalog: "Registrar") -> None:
    """Register the optimizers, then the schedules."""
    add = catalog.optimizers.add
    add("sgd", "mtlkit.optim.sgd:SGD", "gradient descent with momentum")
    add("adam", "mtlkit.optim.adam:Adam", "adaptive moments (Kingma & Ba 2015)")
    add("adamw", "mtlkit.optim.adamw:AdamW", "Adam with decoupled weight decay")
    add("nadam", "mtlkit.optim.nadam:NAdam", "Adam with Nesterov momentum (Dozat 2016)")
    add("radam", "mtlkit.optim.radam:RAdam", "Adam with a rectified variance (Liu 2020)")
    add("timm", "mtlkit.optim.timm_optimizer:TimmOptimizer", "lion, lamb, adan, muon ..., by name")
    add(
        "schedule-free",
        "mtlkit.optim.schedule_free:ScheduleFree",
        "averages in place of a schedule (Defazio 2024)",
    )
    _schedules(catalog)


def _schedules(catalog: "Registrar") -> None:
    """Register the schedules."""
    add = catalog.schedules.add
    add("constant", "mtlkit.optim.constant:Constant", "the same learning rate throughout")
    add("cosine", "mtlkit.optim.cosine:Cosine", "half a cosine down to a floor")
    add("steps", "mtlkit.optim.steps:Steps", "drops at given parts of training")
    add("polynomial", "mtlkit.optim.polynomial_decay:PolynomialDecay", "linear, or by a power")
    add("exponential", "mtlkit.optim.exponential_decay:ExponentialDecay", "by a constant ratio")
    add("one-cycle", "mtlkit.optim.one_cycle:OneCycle", "one rise and fall (Smith & Topin 2019)")


def _callbacks(catalog: "Registrar") -> None:
    """Register the callbacks."""
    add = catalog.callbacks.add
    add(
        "early-stopping",
        "mtlkit.callbacks.early_stopping:EarlyStopping",
        "an end when a metric no longer improves",
    )
    add(
        "best-weights",
        "mtlkit.callbacks.best_weights:BestWeights",
        "the weights of the best validation",
    )
    add("ema", "mtlkit.callbacks.ema:EMA", "a moving average of the weights (Tarvainen 2017)")
    add("swa", "mtlkit.callbacks.swa:SWA", "the mean of the last weights (Izmailov 2018)")
    add(
        "plateau",
        "mtlkit.callbacks.plateau:Plateau",
        "a lower learning rate when a metric no longer improves",
    )
    add("freeze", "mtlkit.callbacks.freeze:Freeze", "parameters that are not trained at first")
    add(
        "gradient-noise",
        "mtlkit.callbacks.gradient_noise:GradientNoise",
        "norm and noise of the gradients (McCandlish 2018)",
    )


def _losses(catalog: "Registrar") -> None:
    """Register the weightings of losses."""
    add = catalog.weightings.add
    add(
        "uncertainty",
        "mtlkit.weightings.uncertainty:Uncertainty",
        "learned uncertainty (Kendall 2018)",
    )
    add(
        "bounded-uncertainty",
        "mtlkit.weightings.bounded_uncertainty:BoundedUncertainty",
        "never below 0 (Liebel & Koerner 2018)",
    )
    add("dynamic", "mtlkit.weightings.dynamic:Dynamic", "a softmax of features (Yin & Liu 2018)")
    add(
        "harder-first",
        "mtlkit.weightings.harder_first:HarderFirst",
        "such a softmax for the harder task (Ming 2019)",
    )
    add("imtl-l", "mtlkit.weightings.imtl_l:IMTLL", "learned scales (Liu 2021)")
    add("log", "mtlkit.weightings.log:Log", "the sum of log losses, scale-invariant (SI)")
    add("gls", "mtlkit.weightings.gls:GLS", "the geometric mean (Chennupati 2019)")
    add("stch", "mtlkit.weightings.stch:STCH", "a smooth maximum (Lin 2024)")
    add("dwa", "mtlkit.weightings.dwa:DWA", "by the change over epochs (Liu 2019)")
    add("cov", "mtlkit.weightings.cov:CoV", "by the coefficient of variation (Groenendijk 2021)")
    add("rlw", "mtlkit.weightings.rlw:RLW", "random weights, a placebo (Lin 2022)")
    add("famo", "mtlkit.weightings.famo:FAMO", "by the change in an update (Liu 2023)")


def _gradients(catalog: "Registrar") -> None:
    """Register the weightings of gradients."""
    add = catalog.weightings.add
    add("gradnorm", "mtlkit.weightings.gradnorm:GradNorm", "similar training rates (Chen 2018)")
    add("mgda", "mtlkit.weightings.mgda:MGDA", "the shortest combination (Sener & Koltun 2018)")
    add("pcgrad", "mtlkit.weightings.pcgrad:PCGrad", "conflicts projected away (Yu 2020)")
    add("gradvac", "mtlkit.weightings.gradvac:GradVac", "cosines kept (Wang 2021)")
    add("imtl-g", "mtlkit.weightings.imtl_g:IMTLG", "equal projections (Liu 2021)")
    add("cagrad", "mtlkit.weightings.cagrad:CAGrad", "the best worst case near the mean (Liu 2021)")
    add(
        "nash-mtl",
        "mtlkit.weightings.nash_mtl:NashMTL",
        "the Nash bargaining solution (Navon 2022)",
    )
    add(
        "fairgrad",
        "mtlkit.weightings.fairgrad:FairGrad",
        "alpha-fair shares of the progress (Ban & Ji 2024)",
    )
    add(
        "aligned-mtl",
        "mtlkit.weightings.aligned_mtl:AlignedMTL",
        "orthogonal, equally long (Senushkin 2023)",
    )
    add("db-mtl", "mtlkit.weightings.db_mtl:DBMTL", "log losses, equally long gradients (Lin 2023)")
    add("moco", "mtlkit.weightings.moco:MoCo", "MGDA on running means (Fernando 2023)")
    add("excess-mtl", "mtlkit.weightings.excess_mtl:ExcessMTL", "by excess risk (He 2024)")
    add(
        "cr-mogm",
        "mtlkit.weightings.cr_mogm:CRMOGM",
        "the averaged weights of another scheme (Zhou 2022)",
    )
    add("modo", "mtlkit.weightings.modo:MoDo", "MGDA by double sampling (Chen 2024)")
    add("sdmgrad", "mtlkit.weightings.sdmgrad:SDMGrad", "between MGDA and the mean (Xiao 2023)")
    add(
        "auto-lambda",
        "mtlkit.weightings.auto_lambda:AutoLambda",
        "by what helps the main tasks (Liu 2022)",
    )
