"""Encoders of pictures: ViT, DeiT, Swin, ConvNeXt, DINOv2, ResNet, towers of CLIP and SigLIP."""
