"""Every modality that ships with t2t_mm; importing this registers them all."""

from t2t_mm.modalities import audio, class_label, image, symbol

__all__ = ["audio", "class_label", "image", "symbol"]
