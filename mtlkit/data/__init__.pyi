# targets/class: one class for each sample
from mtlkit.targets.class_label import ClassTarget as ClassTarget

# targets/number: one number for each sample
from mtlkit.targets.number import NumberTarget as NumberTarget

# targets/vector: several numbers for each sample
from mtlkit.targets.vector import VectorTarget as VectorTarget

# targets/multi-label: several labels, each true or false
from mtlkit.targets.multi_label import MultiLabelTarget as MultiLabelTarget

# targets/class-map: one class for each pixel
from mtlkit.targets.class_map import ClassMapTarget as ClassMapTarget

# targets/real-map: numbers for each pixel: depth
from mtlkit.targets.real_map import RealMapTarget as RealMapTarget

# targets/unit-vector-map: a unit vector for each pixel
from mtlkit.targets.unit_vector_map import UnitVectorMapTarget as UnitVectorMapTarget

# targets/tokens: one class for each token
from mtlkit.targets.tokens import TokenTarget as TokenTarget

# data/images: a folder of images with labels
from .images import Images as Images

# data/table: the rows of a table, some columns labels
from .table import Table as Table

# data/concat: several data sources as one
from .concat import Concat as Concat

# data/mix: several data sources in fixed ratios
from .mix import Mix as Mix

# data/shards: images in tar or Parquet files
from .shards import Shards as Shards

# transforms/mirror: left and right exchanged
from mtlkit.transforms.mirror import Mirror as Mirror

# transforms/crop: a box at a random place
from mtlkit.transforms.crop import Crop as Crop

# transforms/center-crop: the box in the middle
from mtlkit.transforms.center_crop import CenterCrop as CenterCrop

# transforms/resized-crop: a random box, resized
from mtlkit.transforms.resized_crop import ResizedCrop as ResizedCrop

# transforms/resize: the whole frame in another size
from mtlkit.transforms.resize import Resize as Resize

# transforms/scale: a zoom in the same frame
from mtlkit.transforms.scale import Scale as Scale

# transforms/rotate: a turn in the same frame
from mtlkit.transforms.rotate import Rotate as Rotate

# transforms/color-jitter: other colors
from mtlkit.transforms.color_jitter import ColorJitter as ColorJitter

# transforms/gray: no colors
from mtlkit.transforms.gray import Gray as Gray

# transforms/erase: a rectangle without content (Zhong 2020)
from mtlkit.transforms.erase import Erase as Erase

# transforms/mixup: a mean with another sample (Zhang 2018)
from mtlkit.transforms.mixup import Mixup as Mixup

from mtlkit.features.inputs import Batch as Batch
from mtlkit.features.inputs import InputSpec as InputSpec
from mtlkit.features.inputs import single_input as single_input
from mtlkit.targets.base import Target as Target
from mtlkit.targets.codes import CodedTarget as CodedTarget
from mtlkit.targets.geometry import Box as Box
from mtlkit.targets.numbers import RealTarget as RealTarget
from mtlkit.targets.rows import Rows as Rows
from mtlkit.targets.rows import chunks as chunks
from mtlkit.transforms.base import Transform as Transform
from mtlkit.transforms.draw import Draw as Draw
from mtlkit.transforms.sample import Sample as Sample
from .columns import Categorical as Categorical
from .columns import Column as Column
from .columns import Labels as Labels
from .columns import Numeric as Numeric
from .dataset import Data as Data
from .dataset import Split as Split
from .frame import AlignedRegion as AlignedRegion
from .frame import BoxRegion as BoxRegion
from .frame import Frame as Frame
from .frame import Region as Region
from .imaging.decoder_pool import DecoderPool as DecoderPool
from .imaging.decoding import FORMATS as FORMATS
from .imaging.decoding import StoredImages as StoredImages
from .imaging.decoding import decode as decode
from .imaging.decoding import read_images as read_images
from .imaging.decoding import threads as threads
from .imaging.image_stores import FileStore as FileStore
from .imaging.image_stores import Store as Store
from .imaging.label_maps import LabelMaps as LabelMaps
from .imaging.new_images import read_new_images as read_new_images
from .imaging.region_tables import Boxes as Boxes
from .imaging.region_tables import FACE as FACE
from .imaging.region_tables import Landmarks as Landmarks
from .imaging.region_tables import RegionTable as RegionTable
from .imaging.region_tables import five_points as five_points
from .imaging.region_tables import landmark_points as landmark_points
from .inputs import Inputs as Inputs
from .inputs import NamedInputs as NamedInputs
from .listing.image_listing import Row as Row
from .listing.image_listing import escaped as escaped
from .listing.image_listing import is_utf8 as is_utf8
from .listing.table_files import read_table as read_table
from .random_access import RandomAccessFile as RandomAccessFile
from .similarity_transform import Similarity as Similarity
from .similarity_transform import similarity as similarity
from .similarity_transform import warp as warp
from .source import DataSource as DataSource
from .source import Loading as Loading
from .split import RandomSplit as RandomSplit
from .split import split_indices as split_indices
from .split import split_samples as split_samples
