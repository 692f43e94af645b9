"""The built-in components, one line each, registered through the same hook as those of plugins."""

from typing import TYPE_CHECKING

from mtlkit.ops.builtins import BUILTIN_OPS
from mtlkit.plugins.hooks import hookimpl

if TYPE_CHECKING:
    from mtlkit.plugins.families import Registrar

BUILTINS = {
    "backbones": """
        casia-net backbones.casia_net:CasiaNet CASIA-Net with batch norm, 320 features
        timm backbones.timm_model:TimmModel any model of timm, by its name
        mlp backbones.mlp:MLP fully connected layers, for tables
        unet backbones.unet:UNet an encoder and a decoder with skip connections
        segnet backbones.segnet:SegNet an encoder and a decoder with pooling indices
        transformer backbones.transformer:Transformer a transformer encoder for token ids
    """,
    "adapters": """
        pool adapters.pool:Pool the mean or maximum over pixels, tokens or nodes
        upsample adapters.upsample:Upsample maps of a finer resolution
        fpn adapters.fpn:FPN maps of the finest level of a pyramid, joined with the others
        gather adapters.gather:Gather the first or last token of a sequence
        level adapters.level:Level one level of a pyramid
    """,
    "heads": """
        classification heads.classification:Classification one of several classes
        margin heads.margin:Margin classes by angle: ArcFace, CosFace, AdaFace
        regression heads.regression:Regression a number, by squared error
        ordinal heads.ordinal:Ordinal ordered classes (CORAL)
        multi-label heads.multi_label:MultiLabel several labels, by binary losses
        vector-regression heads.vector_regression:VectorRegression several numbers for each sample
        segmentation heads.segmentation:Segmentation a class for each pixel
        dense-regression heads.dense_regression:DenseRegression numbers for each pixel: depth
        normals heads.normals:Normals a unit vector for each pixel
        latent-tasks heads.latent_tasks:LatentTasks labels from latent tasks (Abdulnabi 2015)
        deep-cca heads.deep_cca:DeepCCA correlation with a second view (Andrew 2013)
        token-classification heads.token_classification:TokenClassification a class for each token
    """,
    "metrics": """
        accuracy metrics.accuracy:Accuracy the fraction of classes predicted
        top-k metrics.top_k:TopK the fraction of classes among the k most likely
        balanced-accuracy metrics.balanced_accuracy:BalancedAccuracy mean recall
        f1 metrics.f1:F1 the harmonic mean of precision and recall
        auroc metrics.auroc:AUROC the area under the ROC curve
        average-precision metrics.average_precision:AveragePrecision mean precision
        nll metrics.nll:NLL the negative log-likelihood
        ece metrics.ece:ECE the expected calibration error
        mean-iou metrics.mean_iou:MeanIoU the mean intersection over union
        mae metrics.mae:MAE the mean absolute error
        rmse metrics.rmse:RMSE the root mean squared error
        r2 metrics.r2:R2 the fraction of variance explained
        ccc metrics.ccc:CCC the concordance correlation coefficient
        relative-error metrics.relative_error:RelativeError mean relative error
        delta metrics.delta:Delta the fraction within a factor of 1.25
        angle-mean metrics.angles:AngleMean the mean angle of unit vectors
        angle-median metrics.angles:AngleMedian the median angle of unit vectors
        angle-within metrics.angles:AngleWithin the fraction of small angles
        nme metrics.nme:NME the normalized mean error of keypoints
    """,
    "routers": """
        shared routers.shared:Shared every head reads the shared features
        grouped routers.grouped:Grouped branches for groups of samples
        cross-stitch routers.cross_stitch:CrossStitch a network for each task, stitched
        mmoe routers.mmoe:MMoE experts for all tasks, a gate for each
        cgc routers.cgc:CGC experts for all tasks and experts of each
        ple routers.ple:PLE several stacked levels of cgc
        mtan routers.mtan:MTAN an attention of each task to shared features
        dselect-k routers.dselect_k:DSelectK a sparse choice of k experts for each task
        learn-to-branch routers.learn_to_branch:LearnToBranch a tree with learned branches
    """,
    "branches": """
        linear routers.linear_branch:LinearBranch a separate head for each group
        block routers.block_branch:BlockBranch a separate last block for each group
    """,
    "weightings": """
        fixed weightings.fixed:Fixed constant weights, by name
        equal weightings.equal:Equal the same weight for every side task
        uncertainty weightings.uncertainty:Uncertainty learned uncertainty (Kendall 2018)
        bounded-uncertainty weightings.bounded_uncertainty:BoundedUncertainty above 0 (Liebel 2018)
        dynamic weightings.dynamic:Dynamic a softmax gate on features (Yin & Liu 2018)
        harder-first weightings.harder_first:HarderFirst a softmax for harder tasks (Ming 2019)
        imtl-l weightings.imtl_l:IMTLL learned scales (Liu 2021)
        log weightings.log:Log the sum of log losses, scale-invariant (SI)
        gls weightings.gls:GLS the geometric mean (Chennupati 2019)
        stch weightings.stch:STCH a smooth maximum (Lin 2024)
        stch-log weightings.stch_log:STCHLog a smooth maximum of logs (Lin 2024)
        pbi weightings.pbi:PBI along a ray of preferences (Zhang & Li 2007)
        cosmos weightings.cosmos:COSMOS a weighted sum with a cosine (Ruchte & Grabocka 2021)
        epo weightings.epo:EPO the Pareto optimum on a ray (Mahapatra & Rajan 2020)
        go4align weightings.go4align:GO4Align groups of similar risk (Shen 2024)
        ldc-mtl weightings.ldc_mtl:LDCMTL a gate that evens out the losses (Xiao 2025)
        task-sampling weightings.task_sampling:TaskSampling a random subset of the tasks (Liu 2019)
        dwa weightings.dwa:DWA by the change over epochs (Liu 2019)
        cov weightings.cov:CoV by the coefficient of variation (Groenendijk 2021)
        rlw weightings.rlw:RLW random weights, a placebo (Lin 2022)
        famo weightings.famo:FAMO by the change in an update (Liu 2023)
        gradnorm weightings.gradnorm:GradNorm similar training rates (Chen 2018)
        mgda weightings.mgda:MGDA the shortest combination (Sener & Koltun 2018)
        pcgrad weightings.pcgrad:PCGrad conflicts projected away (Yu 2020)
        gradvac weightings.gradvac:GradVac cosines raised to a target (Wang 2021)
        imtl-g weightings.imtl_g:IMTLG equal projections (Liu 2021)
        imtl weightings.imtl:IMTL imtl-g on the scales of imtl-l (Liu 2021)
        cagrad weightings.cagrad:CAGrad the best worst case near the mean (Liu 2021)
        nash-mtl weightings.nash_mtl:NashMTL the Nash bargaining solution (Navon 2022)
        fairgrad weightings.fairgrad:FairGrad alpha-fair shares of the progress (Ban & Ji 2024)
        aligned-mtl weightings.aligned_mtl:AlignedMTL gradients made orthogonal (Senushkin 2023)
        db-mtl weightings.db_mtl:DBMTL log losses, equally long gradients (Lin 2023)
        moco weightings.moco:MoCo MGDA on running means (Fernando 2023)
        excess-mtl weightings.excess_mtl:ExcessMTL by excess risk (He 2024)
        cr-mogm weightings.cr_mogm:CRMOGM averaged weights of another weighting (Zhou 2022)
        modo weightings.modo:MoDo MGDA by double sampling (Chen 2024)
        sdmgrad weightings.sdmgrad:SDMGrad between MGDA and the mean (Xiao 2023)
        auto-lambda weightings.auto_lambda:AutoLambda by what helps the main tasks (Liu 2022)
    """,
    "targets": """
        class targets.class_label:ClassTarget one class for each sample
        number targets.number:NumberTarget one number for each sample
        vector targets.vector:VectorTarget several numbers for each sample
        multi-label targets.multi_label:MultiLabelTarget several labels, each true or false
        class-map targets.class_map:ClassMapTarget one class for each pixel
        real-map targets.real_map:RealMapTarget numbers for each pixel: depth
        unit-vector-map targets.unit_vector_map:UnitVectorMapTarget a unit vector for each pixel
        tokens targets.tokens:TokenTarget one class for each token
    """,
    "data": """
        images data.images:Images a folder of images with labels
        table data.table:Table the rows of a table, some columns labels
        concat data.concat:Concat several data sources as one
        mix data.mix:Mix several data sources in fixed ratios
        shards data.shards:Shards images in tar or Parquet files
    """,
    "transforms": """
        mirror transforms.mirror:Mirror left and right exchanged
        crop transforms.crop:Crop a box at a random place
        center-crop transforms.center_crop:CenterCrop the box in the middle
        resized-crop transforms.resized_crop:ResizedCrop a random box, resized
        resize transforms.resize:Resize the whole frame in another size
        scale transforms.scale:Scale a zoom in the same frame
        rotate transforms.rotate:Rotate a turn in the same frame
        color-jitter transforms.color_jitter:ColorJitter other colors
        gray transforms.gray:Gray no colors
        erase transforms.erase:Erase a rectangle without content (Zhong 2020)
        mixup transforms.mixup:Mixup a mean with another sample (Zhang 2018)
    """,
    "optimizers": """
        sgd optim.sgd:SGD gradient descent with momentum
        adamw optim.adamw:AdamW Adam with decoupled weight decay
        adam optim.adam:Adam adaptive moments (Kingma & Ba 2015)
        nadam optim.nadam:NAdam Adam with Nesterov momentum (Dozat 2016)
        radam optim.radam:RAdam Adam with a rectified variance (Liu 2020)
        timm optim.timm_optimizer:TimmOptimizer lion, lamb, adan, muon ..., by name
        schedule-free optim.schedule_free:ScheduleFree averages, no schedule (Defazio 2024)
    """,
    "schedules": """
        constant optim.constant:Constant the same learning rate throughout
        cosine optim.cosine:Cosine half a cosine down to a floor
        steps optim.steps:Steps drops at given parts of training
        polynomial optim.polynomial_decay:PolynomialDecay linear, or by a power
        exponential optim.exponential_decay:ExponentialDecay by a constant ratio
        one-cycle optim.one_cycle:OneCycle one rise and fall (Smith & Topin 2019)
    """,
    "callbacks": """
        early-stopping callbacks.early_stopping:EarlyStopping an end without improvement
        best-weights callbacks.best_weights:BestWeights the weights of the best validation
        ema callbacks.ema:EMA a moving average of the weights (Tarvainen 2017)
        swa callbacks.swa:SWA the mean of the last weights (Izmailov 2018)
        plateau callbacks.plateau:Plateau a lower learning rate when a metric no longer improves
        freeze callbacks.freeze:Freeze parameters that are not trained at first
        feature-learning callbacks.feature_learning:FeatureLearning shared features (Argyriou 2008)
        gradient-noise callbacks.gradient_noise:GradientNoise norm and noise (McCandlish 2018)
    """,
    "evaluators": """
        tasks evaluators.task_metrics:TaskMetrics loss and metrics of every task
        pictures evaluators.pictures:Pictures labels and predictions of pixels
    """,
    "loggers": """
        jsonl loggers.json_lines:JsonLines one JSON object a line
        csv loggers.csv_file:CSV a row for each value
        tensorboard loggers.tensorboard:TensorBoard event files for TensorBoard
        wandb loggers.wandb_run:WandB Weights & Biases
        mlflow loggers.mlflow_run:MLflow MLflow
        trackio loggers.trackio_run:Trackio Trackio
    """,
}
"""For each family the name of a component, its class below `mtlkit`, and a summary."""


@hookimpl
def mtlkit_register(catalog: "Registrar") -> None:
    """Register every built-in component by family; each is imported on first use."""
    for family, lines in BUILTINS.items():
        for line in lines.strip().splitlines():
            name, target, summary = line.split(maxsplit=2)
            catalog.by_family[family].add(name, f"mtlkit.{target}", summary)
    for name, (target, summary) in BUILTIN_OPS.items():
        catalog.ops.add(name, target, summary)
