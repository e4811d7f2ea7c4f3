"""Rules on angles, colours, a background and decoders: what does not go is refused at once."""

from __future__ import annotations

from pipeline.config.schema import Config


def _compound(config: Config) -> str:
    """Return the key that makes components more than Gaussians, "" where there is none."""
    model = config.model
    if model.circular:
        return "model.circular"
    return "model.background" if model.background != "none" else ""


def _exact_angles(config: Config) -> str | None:
    noise = config.source.noise
    if noise is None:
        return None
    inexact = [name for name in config.model.circular if name not in noise.exact]
    if inexact:
        return (
            f"{inexact[0]} is an angle, and angles are taken as exact: name it in "
            "source.noise.exact"
        )
    return None


def _angles_in_box(config: Config) -> str | None:
    box = config.model.background
    sides = [name for name in config.model.circular if isinstance(box, dict) and name in box]
    if sides:
        return f"{sides[0]} is an angle (model.circular), whose box is its period; leave it out"
    return None


def _precision(config: Config) -> str | None:
    key = _compound(config)
    if key and config.model.compute_dtype == "float32":
        return f"float32 is for Gaussians alone; leave it at float64 with {key}"
    return None


def _expected(config: Config) -> str | None:
    words = config.output.columns if config.output is not False else ()
    asked = [word for word in ("deconvolved_mean", "imputed") if word in words]
    if config.model.circular and asked:
        return f"{asked[0]} needs expected values on the line, which angles do not have"
    return None


def _droplets(config: Config) -> str | None:
    if config.model.components and config.model.circular:
        return "not with model.components: ddpcr; amplitudes are no angles"
    return None


def _colours(config: Config) -> str | None:
    steps = [step for step in config.transform if step.name == "rgb_to_hsv"]
    if not steps:
        return None
    if len(steps) > 1:
        return "rgb_to_hsv stands twice; keep one"
    columns = steps[0].columns or config.source.columns
    if columns is not None and len(columns) != 3:
        return (
            f"rgb_to_hsv takes three columns, red, green and blue in this order, and "
            f"{len(columns)} are given: rgb_to_hsv: {{columns: [r, g, b]}}"
        )
    if config.source.noise is not None:
        return "rgb_to_hsv and source.noise: a hue has no variance; drop noise"
    if "hue" not in config.model.circular:
        return "the hue that rgb_to_hsv makes is an angle: set model.circular: {hue: 360}"
    if config.model.circular["hue"] != 360:
        return "the hue that rgb_to_hsv makes is in degrees: model.circular.hue is 360"
    return None


def _decoder(config: Config) -> str | None:
    section = config.sample
    if section is False or section.decode is None:
        return None
    module, _, function = section.decode.partition(":")
    if not all(part.isidentifier() for part in (*module.split("."), function)):
        return f"{section.decode} is no function; write module:function, such as scvi_tools:decode"
    if section.decode not in section.decoders:
        listed = ", ".join(section.decoders) or "none"
        return (
            f"{section.decode} is not among sample.decoders ({listed}): code is run only where "
            "this file allows it by name"
        )
    return None


RULES = (
    (("sample.decode", "sample.decoders"), _decoder),
    (("model.circular", "source.noise"), _exact_angles),
    (("model.background", "model.circular"), _angles_in_box),
    (("model.compute_dtype", "model.circular", "model.background"), _precision),
    (("output.columns", "model.circular"), _expected),
    (("model.circular", "model.components"), _droplets),
    (("transform", "model.circular", "source.noise", "source.columns"), _colours),
)
