"""BiSeNet, the face parser's network, in the shape of the one the paper cites.

Layers and the names of their weights are those of the published `79999_iter.pth`, so that it loads as it is.
`maggan.parser` reads, uses and trains it.
"""

import torch
from torch import nn
from torch.nn import functional as F

from ..attributes import PARTS


class ConvBNReLU(nn.Module):
    """Convolution without bias, batch norm, ReLU."""

    def __init__(self, inputs, outputs, kernel=3, stride=1):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, x):
        return F.relu(self.bn(self.conv(x)), inplace=True)


class ResidualBlock(nn.Module):
    """ResNet-18's block: two 3x3 convolutions and a shortcut."""

    def __init__(self, inputs, outputs, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = None
        if stride != 1:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x):
        shortcut = x if self.downsample is None else self.downsample(x)
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)
        return F.relu(self.bn2(self.conv2(x)) + shortcut, inplace=True)


class ResNet18(nn.Module):
    """The backbone: features at 1/8, 1/16 and 1/32 of the input."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.layer1 = nn.Sequential(ResidualBlock(64, 64), ResidualBlock(64, 64))
        self.layer2 = nn.Sequential(ResidualBlock(64, 128, 2), ResidualBlock(128, 128))
        self.layer3 = nn.Sequential(ResidualBlock(128, 256, 2), ResidualBlock(256, 256))
        self.layer4 = nn.Sequential(ResidualBlock(256, 512, 2), ResidualBlock(512, 512))

    def forward(self, x):
        x = self.layer1(self.maxpool(F.relu(self.bn1(self.conv1(x)), inplace=True)))
        eighth = self.layer2(x)  # (B, 128, H/8, W/8)
        sixteenth = self.layer3(eighth)  # (B, 256, H/16, W/16)
        return eighth, sixteenth, self.layer4(sixteenth)  # the last (B, 512, H/32, W/32)


class AttentionRefinement(nn.Module):
    """Weighs each channel by its mean over the image."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.conv = ConvBNReLU(inputs, outputs)
        self.conv_atten = nn.Conv2d(outputs, outputs, 1, bias=False)
        self.bn_atten = nn.BatchNorm2d(outputs)

    def forward(self, x):
        x = self.conv(x)
        return x * self.bn_atten(self.conv_atten(x.mean((2, 3), keepdim=True))).sigmoid()


class ContextPath(nn.Module):
    """The backbone's features, with the context of the coarser ones brought down to 1/16 and 1/8."""

    def __init__(self):
        super().__init__()
        self.resnet = ResNet18()
        self.arm16 = AttentionRefinement(256, 128)
        self.arm32 = AttentionRefinement(512, 128)
        self.conv_head32 = ConvBNReLU(128, 128)
        self.conv_head16 = ConvBNReLU(128, 128)
        self.conv_avg = ConvBNReLU(512, 128, kernel=1)

    def forward(self, x):
        eighth, sixteenth, coarsest = self.resnet(x)
        x = self.arm32(coarsest) + self.conv_avg(coarsest.mean((2, 3), keepdim=True))
        context16 = self.conv_head32(F.interpolate(x, sixteenth.shape[2:], mode="nearest"))
        x = self.arm16(sixteenth) + context16
        context8 = self.conv_head16(F.interpolate(x, eighth.shape[2:], mode="nearest"))
        return eighth, context8, context16


class FeatureFusion(nn.Module):
    """Joins the backbone's fine features with the context, and weighs the channels."""

    def __init__(self, channels):
        super().__init__()
        self.convblk = ConvBNReLU(channels, channels, kernel=1)
        self.conv1 = nn.Conv2d(channels, channels // 4, 1, bias=False)
        self.conv2 = nn.Conv2d(channels // 4, channels, 1, bias=False)

    def forward(self, fine, context):
        x = self.convblk(torch.cat([fine, context], 1))
        weights = self.conv2(F.relu(self.conv1(x.mean((2, 3), keepdim=True)))).sigmoid()
        return x * weights + x


class Head(nn.Module):
    """Logits of every part from features."""

    def __init__(self, inputs, middle, parts):
        super().__init__()
        self.conv = ConvBNReLU(inputs, middle)
        self.conv_out = nn.Conv2d(middle, parts, 1, bias=False)

    def forward(self, x):
        return self.conv_out(self.conv(x))


class BiSeNet(nn.Module):
    """The face parser: photos to logits of the 19 parts, in the order of `PARTS`.

    Takes (B, 3, H, W), RGB in [0, 1] normalised with ImageNet's mean and deviation (`normalise`), H and W
    multiples of 32; returns three (B, 19, H, W), or of the given size: the result, and the two auxiliary heads' that
    only training uses.
    191 entries in the state dict, 13,300,416 parameters, named as in the published weights.
    """

    def __init__(self):
        super().__init__()
        self.cp = ContextPath()
        self.ffm = FeatureFusion(256)
        self.conv_out = Head(256, 256, len(PARTS))
        self.conv_out16 = Head(128, 64, len(PARTS))
        self.conv_out32 = Head(128, 64, len(PARTS))

    def forward(self, x, size=None):
        eighth, context8, context16 = self.cp(x)
        logits = (
            self.conv_out(self.ffm(eighth, context8)),
            self.conv_out16(context8),
            self.conv_out32(context16),
        )
        size = size or x.shape[2:]
        return tuple(F.interpolate(y, size, mode="bilinear", align_corners=True) for y in logits)
