// What the page says about an answer, from the outputs of a network's graph.

export function softmax(logits) {
  const peak = Math.max(...logits), e = logits.map((v) => Math.exp(v - peak)), sum = e.reduce((a, b) => a + b, 0);
  return e.map((v) => v / sum);
}

export function growing(logits, steps, classes) {
  // logits [T, K] -> the probabilities after every step, of the mean of the logits so far
  const sum = new Array(classes).fill(0), found = [];
  for (let t = 0; t < steps; t++) {
    for (let k = 0; k < classes; k++) sum[k] += logits[t * classes + k];
    found.push(softmax(sum.map((v) => v / (t + 1))));
  }
  return found;
}

export function rates(spikes, steps) {
  // spikes [T, ...] -> the share of neurons that fire, by step
  const n = spikes.length / steps;
  return Array.from({ length: steps }, (_, t) => {
    let sum = 0;
    for (let i = t * n; i < (t + 1) * n; i++) sum += spikes[i];
    return sum / n;
  });
}

export function cam(spikes, dims, weights, steps) {
  // Grad-CAM of every step: the layer is followed by the mean over the frame and a linear layer, so that the gradient
  // of the class's mean logit is its weight / (T H W) everywhere. spikes [T, 1, C, h, w], weights [C]
  const [, , C, h, w] = dims, area = h * w, maps = [];
  for (let t = 0; t < steps; t++) {
    const map = new Array(area).fill(0);
    for (let c = 0; c < C; c++) {
      for (let i = 0; i < area; i++) map[i] += (weights[c] / (steps * area)) * spikes[(t * C + c) * area + i];
    }
    maps.push(map.map((v) => Math.max(0, v)));
  }
  return maps;
}

export function energy(layers, fired, inputRates, costs, steps) {
  // picojoule up to every step. A layer costs its multiplications times the share of inputs that are not zero, an
  // addition each where they are spikes, else a multiplication too; one that reads sums computes all of them.
  let sum = 0;
  return Array.from({ length: steps }, (_, t) => {
    for (const layer of layers) {
      const share = layer.reads === null ? 1 : layer.reads === "input" ? inputRates[t] : fired[layer.reads][t];
      sum += layer.macs * share * (layer.binary ? costs.ac : costs.mac);
    }
    return sum;
  });
}
