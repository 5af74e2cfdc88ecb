"""Which operations a saved graph may hold: those of OpenVINO's own that compute, and end.

A saved model may be a stranger's. Loops and branches, state, chance, strings and the operations of
extensions, which may be any code, are in no graph that is written here.
"""

from __future__ import annotations

import re
from typing import Final
from xml.etree import ElementTree

ALLOWED: Final = frozenset(
    """
    Abs Acos Acosh AdaptiveAvgPool AdaptiveMaxPool Add Asin Asinh Atan Atanh AvgPool
    BatchNormInference BatchToSpace BinaryConvolution BitwiseAnd BitwiseLeftShift BitwiseNot
    BitwiseOr BitwiseRightShift BitwiseXor Broadcast Bucketize Ceiling Clamp Col2Im Concat Const
    Convert ConvertLike ConvertPromoteTypes Convolution ConvolutionBackpropData Cos Cosh CumSum DFT
    DeformableConvolution DepthToSpace Divide Einsum Elu EmbeddingBagOffsets EmbeddingBagOffsetsSum
    EmbeddingBagPacked EmbeddingBagPackedSum EmbeddingSegmentsSum Equal Erf ErfInv Exp
    ExtractImagePatches Eye FakeQuantize Floor FloorMod GRN GRUCell GRUSequence Gather
    GatherElements GatherND GatherTree Gelu Greater GreaterEqual GridSample GroupConvolution
    GroupConvolutionBackpropData GroupNormalization HSigmoid HSwish HardSigmoid IDFT IRDFT ISTFT
    Identity Interpolate Inverse IsFinite IsInf IsNaN LRN LSTMCell LSTMSequence Less LessEqual Log
    LogSoftmax LogicalAnd LogicalNot LogicalOr LogicalXor MVN MatMul MatrixNms MaxPool Maximum
    Minimum Mish Mod MulticlassNms Multiply NMSRotated Negative NonMaxSuppression NonZero
    NormalizeL2 NotEqual OneHot PReLU PSROIPooling Pad Parameter Power PriorBox PriorBoxClustered
    RDFT RMS RNNCell RNNSequence ROIAlign ROIAlignRotated ROIPooling Range ReLU ReduceL1 ReduceL2
    ReduceLogicalAnd ReduceLogicalOr ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum
    ReorgYolo Reshape Result ReverseSequence Roll Round STFT ScaledDotProductAttention
    ScatterElementsUpdate ScatterNDUpdate ScatterUpdate SearchSorted SegmentMax Select Selu ShapeOf
    ShuffleChannels Sigmoid Sign Sin Sinh Slice SliceScatter SoftMax SoftPlus SoftSign
    SpaceToBatch SpaceToDepth Split Sqrt SquaredDifference Squeeze StridedSlice Subtract Swish Tan
    Tanh Tile TopK Transpose Unique Unsqueeze VariadicSplit
    """.split()
)
_STANDARD: Final = re.compile(r"opset\d{1,2}")
_DECLARATION: Final = "<!"  # of a document type or an entity, which no graph has
_SHOWN: Final = 40  # letters of what a stranger wrote


def foreign(graph: str) -> str:
    """The first operation in a graph's text that is not to be run; empty without any.

    Raises ValueError for a text that is no graph, or declares what none does.
    """
    if _DECLARATION in graph:
        raise ValueError("it declares what no graph does")
    try:
        layers = ElementTree.fromstring(graph).iter("layer")
    except ElementTree.ParseError as error:
        raise ValueError(f"it is no graph ({error})") from error
    for layer in layers:
        kind, version = layer.get("type", ""), layer.get("version", "")
        if kind not in ALLOWED or not _STANDARD.fullmatch(version):
            return f"{version}.{kind}"[:_SHOWN]
    return ""
