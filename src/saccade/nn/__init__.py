"""Building blocks of spiking networks: neurons, time folding, normalisation, readouts, attention."""

from saccade.nn.attention import Attention, GatedNeuron, create_attention, list_attention
from saccade.nn.folding import TimeFolded, fold_time, unfold_time
from saccade.nn.initial import InitialLIF
from saccade.nn.neuron import IF, LIF, PLIF, Neuron
from saccade.nn.norm import ThresholdBatchNorm
from saccade.nn.readout import VotingReadout, mean_readout, membrane_readout
from saccade.nn.sctfa import SCTFALIF
from saccade.nn.sma import SMA
from saccade.nn.tim import TIM
from saccade.ops import Surrogate

__all__ = [
    "IF",
    "LIF",
    "PLIF",
    "SCTFALIF",
    "SMA",
    "TIM",
    "Attention",
    "GatedNeuron",
    "InitialLIF",
    "Neuron",
    "Surrogate",
    "ThresholdBatchNorm",
    "TimeFolded",
    "VotingReadout",
    "create_attention",
    "fold_time",
    "list_attention",
    "mean_readout",
    "membrane_readout",
    "unfold_time",
]
