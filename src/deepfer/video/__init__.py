"""Faces over time: videos to rows of tracked faces with raw and smoothed probabilities.

Needs the extra ``video``.
"""

from deepfer.video.analysis import FrameFaces, TrackedFace, analyse

__all__ = ["FrameFaces", "TrackedFace", "analyse"]
