"""All methods, one line each.

A method of your own is a file beside the others and a line here; `fairjax.deep`, the command line, `fairjax.load` and
the reports then know it.
"""

from fairjax.deep.methods.aekmeans import AEKMeans as AEKMeans
from fairjax.deep.methods.clustergan import ClusterGAN as ClusterGAN
from fairjax.deep.methods.dac import DAC as DAC
from fairjax.deep.methods.dcn import DCN as DCN
from fairjax.deep.methods.dec import DEC as DEC
from fairjax.deep.methods.deepfca import DeepFCA as DeepFCA
from fairjax.deep.methods.dfc import DFC as DFC
from fairjax.deep.methods.fairimsat import FairIMSAT as FairIMSAT
from fairjax.deep.methods.fairoid import FairoidDEC as FairoidDEC
from fairjax.deep.methods.fcmi import FCMI as FCMI
from fairjax.deep.methods.imsat import IMSAT as IMSAT
