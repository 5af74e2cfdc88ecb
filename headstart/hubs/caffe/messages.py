"""The messages of Caffe's files (Jia et al. 2014), described here for protobuf to read.

Only what an importer needs is described; protobuf skips the rest. A field is its name, number and
type, with a star where it repeats, and its default.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_PACKAGE: Final = "headstart.caffe"
_PARAMETERS: Final = {  # of layers: the message, its number in a layer, and in an old layer
    "batch_norm_param": ("BatchNorm", 139, None),
    "bias_param": ("Bias", 141, None),
    "concat_param": ("Concat", 104, 9),
    "convolution_param": ("Convolution", 106, 10),
    "data_param": ("Stored", 107, 11),
    "dropout_param": ("Dropout", 108, 12),
    "dummy_data_param": ("DummyData", 109, 26),
    "eltwise_param": ("Eltwise", 110, 24),
    "elu_param": ("ELU", 140, None),
    "flatten_param": ("Flatten", 135, None),
    "image_data_param": ("Stored", 115, 15),
    "inner_product_param": ("InnerProduct", 117, 17),
    "input_param": ("Input", 143, None),
    "lrn_param": ("LRN", 118, 18),
    "memory_data_param": ("MemoryData", 119, 22),
    "pooling_param": ("Pooling", 121, 19),
    "power_param": ("Power", 122, 21),
    "prelu_param": ("PReLU", 131, None),
    "relu_param": ("ReLU", 123, 30),
    "reshape_param": ("Reshape", 133, None),
    "scale_param": ("Scale", 142, None),
    "slice_param": ("Slice", 126, 31),
    "softmax_param": ("Softmax", 125, 39),
    "transform_param": ("Transformation", 100, 36),
    "window_data_param": ("Stored", 129, 20),
}
_OLD_TYPES: Final = {  # the number of an old layer's type, and what the type is called now
    "ABSVAL": (35, "AbsVal"),
    "ACCURACY": (1, "Accuracy"),
    "ARGMAX": (30, "ArgMax"),
    "BNLL": (2, "BNLL"),
    "CONCAT": (3, "Concat"),
    "CONTRASTIVE_LOSS": (37, "ContrastiveLoss"),
    "CONVOLUTION": (4, "Convolution"),
    "DATA": (5, "Data"),
    "DECONVOLUTION": (39, "Deconvolution"),
    "DROPOUT": (6, "Dropout"),
    "DUMMY_DATA": (32, "DummyData"),
    "ELTWISE": (25, "Eltwise"),
    "EUCLIDEAN_LOSS": (7, "EuclideanLoss"),
    "EXP": (38, "Exp"),
    "FLATTEN": (8, "Flatten"),
    "HDF5_DATA": (9, "HDF5Data"),
    "HDF5_OUTPUT": (10, "HDF5Output"),
    "HINGE_LOSS": (28, "HingeLoss"),
    "IM2COL": (11, "Im2col"),
    "IMAGE_DATA": (12, "ImageData"),
    "INFOGAIN_LOSS": (13, "InfogainLoss"),
    "INNER_PRODUCT": (14, "InnerProduct"),
    "LRN": (15, "LRN"),
    "MEMORY_DATA": (29, "MemoryData"),
    "MULTINOMIAL_LOGISTIC_LOSS": (16, "MultinomialLogisticLoss"),
    "MVN": (34, "MVN"),
    "NONE": (0, "None"),
    "POOLING": (17, "Pooling"),
    "POWER": (26, "Power"),
    "RELU": (18, "ReLU"),
    "SIGMOID": (19, "Sigmoid"),
    "SIGMOID_CROSS_ENTROPY_LOSS": (27, "SigmoidCrossEntropyLoss"),
    "SILENCE": (36, "Silence"),
    "SLICE": (33, "Slice"),
    "SOFTMAX": (20, "Softmax"),
    "SOFTMAX_LOSS": (21, "SoftmaxWithLoss"),
    "SPLIT": (22, "Split"),
    "TANH": (23, "TanH"),
    "THRESHOLD": (31, "Threshold"),
    "WINDOW_DATA": (24, "WindowData"),
}
_ENUMS: Final = {
    "Phase": {"TRAIN": 0, "TEST": 1},
    "PoolMethod": {"MAX": 0, "AVE": 1, "STOCHASTIC": 2},
    "EltwiseOp": {"PROD": 0, "SUM": 1, "MAX": 2},
    "NormRegion": {"ACROSS_CHANNELS": 0, "WITHIN_CHANNEL": 1},
    "VarianceNorm": {"FAN_IN": 0, "FAN_OUT": 1, "AVERAGE": 2},
    "OldType": {name: number for name, (number, _) in _OLD_TYPES.items()},
}
_MESSAGES: Final = {
    "BlobShape": "dim 1 int64*",
    # packed numbers look like bytes on the wire, and are read a hundred times as fast as such
    "Blob": """num 1 int64 0; channels 2 int64 0; height 3 int64 0; width 4 int64 0;
        data 5 bytes*; shape 7 BlobShape; double_data 8 bytes*""",
    "Filler": """type 1 string; value 2 float 0; min 3 float 0; max 4 float 1; mean 5 float 0;
        std 6 float 1; variance_norm 8 VarianceNorm FAN_IN""",
    "Rule": """phase 1 Phase; min_level 2 int64; max_level 3 int64; stage 4 string*;
        not_stage 5 string*""",
    "Transformation": """scale 1 float 1; crop_size 3 uint64 0; mean_file 4 string;
        mean_value 5 float*; force_color 6 bool; force_gray 7 bool""",
    "Stored": """scale 2 float 1; mean_file 3 string; crop_size 5 uint64 0; new_height 9 uint64;
        new_width 10 uint64""",
    "MemoryData": "channels 2 uint64; height 3 uint64; width 4 uint64",
    "DummyData": "shape 6 BlobShape*",
    "Input": "shape 1 BlobShape*",
    "BatchNorm": "eps 3 float 1e-5",
    "Bias": "axis 1 int64 1; num_axes 2 int64 1; filler 3 Filler",
    "Concat": "concat_dim 1 uint64 1; axis 2 int64 1",
    "Convolution": """num_output 1 uint64; bias_term 2 bool true; pad 3 uint64*;
        kernel_size 4 uint64*; group 5 uint64 1; stride 6 uint64*; weight_filler 7 Filler;
        bias_filler 8 Filler; pad_h 9 uint64 0; pad_w 10 uint64 0; kernel_h 11 uint64;
        kernel_w 12 uint64; stride_h 13 uint64; stride_w 14 uint64; axis 16 int64 1;
        dilation 18 uint64*""",
    "Dropout": "dropout_ratio 1 float 0.5",
    "Eltwise": "operation 1 EltwiseOp SUM; coeff 2 float*",
    "ELU": "alpha 1 float 1",
    "Flatten": "axis 1 int64 1; end_axis 2 int64 -1",
    "InnerProduct": """num_output 1 uint64; bias_term 2 bool true; weight_filler 3 Filler;
        bias_filler 4 Filler; axis 5 int64 1; transpose 6 bool false""",
    "LRN": """local_size 1 uint64 5; alpha 2 float 1; beta 3 float 0.75;
        norm_region 4 NormRegion ACROSS_CHANNELS; k 5 float 1""",
    "Pooling": """pool 1 PoolMethod MAX; kernel_size 2 uint64*; stride 3 uint64*; pad 4 uint64*;
        kernel_h 5 uint64; kernel_w 6 uint64; stride_h 7 uint64; stride_w 8 uint64;
        pad_h 9 uint64 0; pad_w 10 uint64 0; global_pooling 12 bool false""",
    "Power": "power 1 float 1; scale 2 float 1; shift 3 float 0",
    "PReLU": "filler 1 Filler; channel_shared 2 bool false",
    "ReLU": "negative_slope 1 float 0",
    "Reshape": "shape 1 BlobShape; axis 2 int64 0; num_axes 3 int64 -1",
    "Scale": """axis 1 int64 1; num_axes 2 int64 1; filler 3 Filler; bias_term 4 bool false;
        bias_filler 5 Filler""",
    "Slice": "slice_dim 1 uint64 1; slice_point 2 uint64*; axis 3 int64 1",
    "Softmax": "axis 2 int64 1",
    "Layer": """name 1 string; type 2 string; bottom 3 string*; top 4 string*; blobs 7 Blob*;
        include 8 Rule*; exclude 9 Rule*"""
    + "".join(f"; {name} {now} {kind}" for name, (kind, now, _) in _PARAMETERS.items()),
    "OldestLayer": "name 1 string; type 2 string",
    "OldLayer": """layer 1 OldestLayer; bottom 2 string*; top 3 string*; name 4 string;
        type 5 OldType; blobs 6 Blob*; include 32 Rule*; exclude 33 Rule*"""
    + "".join(f"; {name} {old} {kind}" for name, (kind, _, old) in _PARAMETERS.items() if old),
    "Net": """name 1 string; layers 2 OldLayer*; input 3 string*; input_dim 4 int64*;
        input_shape 8 BlobShape*; layer 100 Layer*""",
}
_VALUES: Final = "Values"  # of an enumeration, whose values' names hold within a message
_OPTIONAL: Final = descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL
_REPEATED: Final = descriptor_pb2.FieldDescriptorProto.LABEL_REPEATED


def upgraded(old: Any) -> Any:
    """A layer of the second format as one of the present; its blobs stay behind."""
    types = dict(_OLD_TYPES.values())  # by number
    layer = Layer(name=old.name, type=types[old.type])
    for field in ("bottom", "top", "include", "exclude"):
        getattr(layer, field).MergeFrom(getattr(old, field))
    for name, (_, _, number) in _PARAMETERS.items():
        if number is not None and old.HasField(name):
            getattr(layer, name).CopyFrom(getattr(old, name))
    return layer


def _fields(text: str) -> Iterator[Any]:
    for part in text.split(";"):
        name, number, kind, *default = part.split()
        repeated = kind.endswith("*")
        field = descriptor_pb2.FieldDescriptorProto(
            name=name, number=int(number), label=_REPEATED if repeated else _OPTIONAL
        )
        kind = kind.rstrip("*")
        if kind in _MESSAGES or kind in _ENUMS:
            inside = f".{_VALUES}" if kind in _ENUMS else ""
            field.type_name = f".{_PACKAGE}.{kind}{inside}"
            field.type = field.TYPE_ENUM if kind in _ENUMS else field.TYPE_MESSAGE
        else:
            field.type = field.Type.Value(f"TYPE_{kind.upper()}")
        if default:
            field.default_value = default[0]
        yield field


def _pool() -> Any:
    file = descriptor_pb2.FileDescriptorProto(
        name="headstart_caffe.proto", package=_PACKAGE, syntax="proto2"
    )
    for name, values in _ENUMS.items():
        enum = file.message_type.add(name=name).enum_type.add(name=_VALUES)
        for value, number in values.items():
            enum.value.add(name=value, number=number)
    for name, text in _MESSAGES.items():
        file.message_type.add(name=name).field.extend(_fields(text))
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return pool


def _message(pool: Any, name: str) -> Any:
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}"))


_POOL: Final = _pool()
Net: Final = _message(_POOL, "Net")
Layer: Final = _message(_POOL, "Layer")
Blob: Final = _message(_POOL, "Blob")
