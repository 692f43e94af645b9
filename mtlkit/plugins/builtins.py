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
    catalog.backbones.add(
        "unet", "mtlkit.backbones.unet:UNet", "an encoder and a decoder with skip connections"
    )
    catalog.backbones.add(
        "segnet",
        "mtlkit.backbones.segnet:SegNet",
        "an encoder and a decoder with pooling indices",
    )
    catalog.backbones.add(
        "transformer",
        "mtlkit.backbones.transformer:Transformer",
        "a transformer encoder for token ids",
    )

    catalog.adapters.add(
        "pool", "mtlkit.adapters.pool:Pool", "the mean or maximum over pixels, tokens or nodes"
    )
    catalog.adapters.add(
        "upsample", "mtlkit.adapters.upsample:Upsample", "maps of a finer resolution"
    )
    catalog.adapters.add(
        "gather", "mtlkit.adapters.gather:Gather", "the first or last token of a sequence"
    )
    catalog.adapters.add("level", "mtlkit.adapters.level:Level", "one level of a pyramid")

    catalog.heads.add(
        "classification", "mtlkit.heads.classification:Classification", "one of several classes"
    )
    catalog.heads.add(
        "margin", "mtlkit.heads.margin:Margin", "classes by angle: ArcFace, CosFace, AdaFace"
    )
    catalog.heads.add(
        "regression", "mtlkit.heads.regression:Regression", "a number, by squared error"
    )

    catalog.heads.add("ordinal", "mtlkit.heads.ordinal:Ordinal", "ordered classes (CORAL)")
    catalog.heads.add(
        "multi-label", "mtlkit.heads.multi_label:MultiLabel", "several labels, by binary losses"
    )
    catalog.heads.add(
        "vector-regression",
        "mtlkit.heads.vector_regression:VectorRegression",
        "several numbers: squared, absolute or Huber's error",
    )
    catalog.heads.add(
        "segmentation", "mtlkit.heads.segmentation:Segmentation", "a class for each pixel"
    )
    catalog.heads.add(
        "dense-regression",
        "mtlkit.heads.dense_regression:DenseRegression",
        "numbers for each pixel, such as depth",
    )
    catalog.heads.add("normals", "mtlkit.heads.normals:Normals", "a unit vector for each pixel")
    catalog.heads.add(
        "token-classification",
        "mtlkit.heads.token_classification:TokenClassification",
        "a class for each token",
    )

    _metrics(catalog)

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
    _targets(catalog)

    catalog.data.add("images", "mtlkit.data.images:Images", "a folder of images with labels")
    catalog.data.add("table", "mtlkit.data.table:Table", "the rows of a table, some columns labels")

    _transforms(catalog)

    catalog.optimizers.add("sgd", "mtlkit.optim.sgd:SGD", "gradient descent with momentum")
    catalog.optimizers.add("adamw", "mtlkit.optim.adamw:AdamW", "Adam with decoupled weight decay")
    catalog.schedules.add(
        "constant", "mtlkit.optim.constant:Constant", "the same learning rate throughout"
    )
    catalog.schedules.add("cosine", "mtlkit.optim.cosine:Cosine", "half a cosine down to a floor")
    catalog.schedules.add("steps", "mtlkit.optim.steps:Steps", "drops at given parts of training")

    catalog.evaluators.add(
        "tasks", "mtlkit.evaluators.task_metrics:TaskMetrics", "loss and metrics of every task"
    )

    catalog.loggers.add("jsonl", "mtlkit.loggers.json_lines:JsonLines", "one JSON object a line")
    catalog.loggers.add(
        "tensorboard", "mtlkit.loggers.tensorboard:TensorBoard", "event files for TensorBoard"
    )
    for name, (target, summary) in BUILTIN_OPS.items():
        catalog.ops.add(name, target, summary)


def _transforms(catalog: "Registrar") -> None:
    """Register the transforms of samples."""
    add = catalog.transforms.add
    add("mirror", "mtlkit.transforms.mirror:Mirror", "left and right exchanged")
    add("crop", "mtlkit.transforms.crop:Crop", "a box at a random place")
    add("center-crop", "mtlkit.transforms.center_crop:CenterCrop", "the box in the middle")
    add("resized-crop", "mtlkit.transforms.resized_crop:ResizedCrop", "a random box, resized")
    add("resize", "mtlkit.transforms.resize:Resize", "the whole frame in another size")
    add("scale", "mtlkit.transforms.scale:Scale", "a zoom in the same frame")
    add("rotate", "mtlkit.transforms.rotate:Rotate", "a turn in the same frame")
    add("color-jitter", "mtlkit.transforms.color_jitter:ColorJitter", "other colors")
    add("gray", "mtlkit.transforms.gray:Gray", "no colors")
    add("erase", "mtlkit.transforms.erase:Erase", "a rectangle without content (Zhong 2020)")
    add("mixup", "mtlkit.transforms.mixup:Mixup", "a mean with another sample (Zhang 2018)")


def _targets(catalog: "Registrar") -> None:
    """Register the types of targets."""
    add = catalog.targets.add
    add("class", "mtlkit.targets.class_label:ClassTarget", "one class for each sample")
    add("number", "mtlkit.targets.number:NumberTarget", "one number for each sample")
    add("vector", "mtlkit.targets.vector:VectorTarget", "several numbers for each sample")
    add(
        "multi-label",
        "mtlkit.targets.multi_label:MultiLabelTarget",
        "several labels, each true or false",
    )
    add("class-map", "mtlkit.targets.class_map:ClassMapTarget", "one class for each pixel")
    add(
        "real-map", "mtlkit.targets.real_map:RealMapTarget", "numbers for each pixel, such as depth"
    )
    add(
        "unit-vector-map",
        "mtlkit.targets.unit_vector_map:UnitVectorMapTarget",
        "a unit vector for each pixel",
    )
    add("tokens", "mtlkit.targets.tokens:TokenTarget", "one class for each token")


def _metrics(catalog: "Registrar") -> None:
    """Register the metrics of classes, of numbers, and of directions and keypoints."""
    add = catalog.metrics.add
    add("accuracy", "mtlkit.metrics.accuracy:Accuracy", "the fraction of classes predicted")
    add("top-k", "mtlkit.metrics.top_k:TopK", "the fraction of classes among the k most likely")
    add("balanced-accuracy", "mtlkit.metrics.balanced_accuracy:BalancedAccuracy", "mean recall")
    add("f1", "mtlkit.metrics.f1:F1", "the harmonic mean of precision and recall")
    add("auroc", "mtlkit.metrics.auroc:AUROC", "the area under the ROC curve")
    add("average-precision", "mtlkit.metrics.average_precision:AveragePrecision", "mean precision")
    add("nll", "mtlkit.metrics.nll:NLL", "the negative log-likelihood")
    add("ece", "mtlkit.metrics.ece:ECE", "the expected calibration error")
    add("mean-iou", "mtlkit.metrics.mean_iou:MeanIoU", "the mean intersection over union")
    add("mae", "mtlkit.metrics.mae:MAE", "the mean absolute error")
    add("rmse", "mtlkit.metrics.rmse:RMSE", "the root mean squared error")
    add("r2", "mtlkit.metrics.r2:R2", "the fraction of variance explained")
    add("ccc", "mtlkit.metrics.ccc:CCC", "the concordance correlation coefficient")
    add("relative-error", "mtlkit.metrics.relative_error:RelativeError", "mean relative error")
    add("delta", "mtlkit.metrics.delta:Delta", "the fraction within a factor of 1.25")
    add("angle-mean", "mtlkit.metrics.angles:AngleMean", "the mean angle of unit vectors")
    add("angle-median", "mtlkit.metrics.angles:AngleMedian", "the median angle of unit vectors")
    add("angle-within", "mtlkit.metrics.angles:AngleWithin", "the fraction of small angles")
    add("nme", "mtlkit.metrics.nme:NME", "the normalized mean error of keypoints")


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
