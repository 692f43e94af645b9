from .delta_m import delta_m as delta_m
from .statistics import Estimate as Estimate
from .statistics import bootstrap_mean as bootstrap_mean
from .statistics import holm as holm
from .statistics import paired_test as paired_test
from .statistics import student_mean as student_mean
