"""Labels of groups of rows (wells, plates, batches, shifts) and their numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from gmm_dask.blocks import RowLayout
from gmm_dask.errors import ConfigError
from gmm_dask.estimator.wide import Given
from gmm_dask.group_names import GroupNames, Label
from gmm_dask.inputs import is_dask
from gmm_dask.mixture import Mixture


def groups_of(labels: Any) -> tuple[GroupNames, Any]:
    """Return the groups that labels name, and the number of each row's group.

    Parameters
    ----------
    labels : (N,) array-like, pandas or Dask series or array
        Of any type; what is neither text nor a number (dates, say) counts as its text.

    Returns
    -------
    GroupNames
    codes : (N,) float64, a Dask array for Dask labels

    Raises
    ------
    DataError
        A row has no label; or there are more groups than `MOST`.
    """
    if is_dask(labels):
        from gmm_dask.engine.dask_labels import as_label_array, coded, distinct_labels

        array = as_label_array(labels)
        names = GroupNames.of(distinct_labels(array))
        return names, coded(array, names.codes)
    names = GroupNames.of(labels)
    return names, names.codes(labels)


def codes_of(names: GroupNames, labels: Any) -> Any:
    """Return the numbers of the groups of rows, of labels of any kind; lazy for Dask labels."""
    if is_dask(labels):
        from gmm_dask.engine.dask_labels import as_label_array, coded

        return coded(as_label_array(labels), names.codes)
    return names.codes(labels)


def grouped(parts: Given, labels: Any) -> tuple[tuple[Label, ...] | None, Given]:
    """Return the names of the groups that labels name, and what comes beside rows, with them."""
    if labels is None:
        return None, parts
    found, codes = groups_of(labels)
    return found.names, parts.with_groups(codes, len(found.names))


def in_groups(model: Any, parts: Given, groups: Any) -> Given:
    """Return what comes beside new rows, with the numbers of their groups.

    Parameters
    ----------
    model : GaussianMixture
        Fitted.
    parts : Given
    groups : (N,) labels, "pooled", or None

    Raises
    ------
    ConfigError
        Groups came for a model without, none for a model with them, or one that it does not know.
    """
    known = getattr(model, "groups_", None)
    if known is None and groups is not None:
        raise ConfigError("groups came, but the model was fitted without: leave them out")
    if known is None or (isinstance(groups, str) and groups == "pooled"):
        return parts
    if groups is None:
        raise ConfigError(
            "the model has weights for each group: give the groups of the rows, or "
            'groups="pooled" for the weights of all rows together'
        )
    return parts.with_groups(codes_of(GroupNames(tuple(known.tolist())), groups), len(known))


def of_group(model: Any, label: Any) -> Mixture:
    """Return the mixture of a fitted model with the weights of one group; None: as it is."""
    mixture: Mixture = model.mixture_
    if label is None:
        return mixture
    parts = in_groups(model, Given(RowLayout(mixture.n_columns)), [label])
    weights = mixture.weights[parts.group.astype(np.int64)]
    return replace(mixture, weights=weights, group_share=None)


def name_groups(model: Any, names: Sequence[Label] | None) -> None:
    """Set the names and weights of the groups of a fitted model; None: there are none."""
    for attribute in ("groups_", "weights_by_group_"):
        model.__dict__.pop(attribute, None)
    if names is None:
        return
    mixed = len({isinstance(name, str) for name in names}) > 1
    model.groups_ = np.array(names, dtype=object if mixed else None)
    model.weights_by_group_ = model.mixture_.weights


def begun_from(last: Mixture, known: Any, names: Sequence[Label] | None) -> Mixture:
    """Return the mixture of the last fit for the groups of the next.

    Its weights by group where the groups are the same, else the pooled ones.
    """
    same = known is not None and names is not None and tuple(known.tolist()) == tuple(names)
    return last if same else replace(last, weights=last.pooled[None], group_share=None)
