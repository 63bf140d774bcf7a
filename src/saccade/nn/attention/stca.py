"""STCA-SNN: spatio-temporal coordinate attention (not the STCA-SNN of 2023, Wu et al.).

Yang et al. Expert Systems with Applications, 2026. Released as JasonYangCode/STCA-SNN.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from saccade.nn.attention.contract import ScoreAttention, check_positive
from saccade.nn.attention.masnn import mlp_keys
from saccade.nn.attention.registry import register_attention
from saccade.nn.attention.squeeze import Bottleneck
from saccade.nn.folding import fold_time, unfold_time


@register_attention("stca")
class STCA(ScoreAttention):
    """Spatio-temporal coordinate attention: gate [T, B, C, H, W] = sigmoid(M + S), of the current x.

        M[t, b] = W1 ReLU(W0 mean_CHW x)                                                         W0 [T/r_t, T]
        S[c, h, w] = sigmoid(V_h a' + b_h)[c, h] * sigmoid(V_w e' + b_w)[c, w] * sigmoid(V_c mean(d') + b_c)[c]
        [d' | a' | e'] = ReLU(BN(V [d | a | e] + v)),  a = mean_W x [C, H], e = mean_H x [C, W], d = mean_HW x, C times

    S at every step and sample; V [C/r_c, C]. One norm over steps, samples and all C + H + W positions: the C copies of
    the channel mean only weigh its statistics. S is positive, so that the gate is above sigmoid(M).

    Args:
        reduction_time: r_t; the hidden width is T // r_t, at least 1 (as released T < 8 cannot run).
        reduction_channel: r_c; the hidden width is C // r_c, at least 1.
    """

    source = "current"
    published_at = "after the neuron (on the spikes), as GAC"
    official_keys = (
        *mlp_keys("TAU", "mlp"),
        (r"(^|\.)TDCAU\.conv1\.", r"\1squeeze."),
        (r"(^|\.)TDCAU\.bn1\.", r"\1norm."),
        (r"(^|\.)TDCAU\.conv_([hwc])\.", r"\1conv_\2."),
    )

    def __init__(
        self,
        channels: int,
        steps: int,
        reduction_time: int = 8,
        reduction_channel: int = 16,
        placement: str | None = None,
    ) -> None:
        super().__init__(channels, steps, placement)
        check_positive("STCA", reduction_time=reduction_time, reduction_channel=reduction_channel)
        hidden = max(1, channels // reduction_channel)
        self.mlp = Bottleneck(steps, reduction_time)
        self.squeeze = nn.Conv1d(channels, hidden, 1)
        self.norm = nn.BatchNorm1d(hidden)
        self.conv_h, self.conv_w, self.conv_c = (nn.Conv1d(hidden, channels, 1) for _ in range(3))

    def score(self, source: Tensor) -> Tensor:
        temporal = self.mlp(source.mean(dim=(2, 3, 4)).t()).t()[..., None, None, None]
        return temporal + unfold_time(self._coordinates(fold_time(source)), source.shape[0])

    def _coordinates(self, x: Tensor) -> Tensor:
        """S of frames [T*B, C, H, W]."""
        _, C, H, W = x.shape
        d = x.mean(dim=(2, 3))[..., None].expand(-1, -1, C)
        lines = torch.cat((d, x.mean(3), x.mean(2)), dim=2)
        v = F.relu(self.norm(self.squeeze(lines)))
        channel, rows, columns = v.split([C, H, W], dim=2)
        along_c = self.conv_c(channel.mean(2, keepdim=True)).sigmoid()
        return self.conv_h(rows).sigmoid()[..., None] * self.conv_w(columns).sigmoid()[:, :, None] * along_c[..., None]

    def _resize_weights(self, steps: int) -> None:
        self.mlp.resize(steps)
