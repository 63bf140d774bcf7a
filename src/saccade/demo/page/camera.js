// The saccade camera: an 8 x 8 digit before a simulated event camera that makes three saccades along a triangle.
// The numbers are those of saccade.data.digits and saccade.data.camera in double precision.

const SIZE = 16, SIDE = 12, SWING = 2, FINE_STEPS = 60, THRESHOLD = 0.2, DARK = 0.05, MARGIN = 2;
const TRIANGLE = [[0, 0], [1, 0.5], [0, 1], [0, 0]];
export const EVENTS_PER_UNIT = 4;
export const size = SIZE;

function cubic(t) {
  // weights of torch's bicubic interpolation, A = -0.75
  const A = -0.75;
  const near = (x) => ((A + 2) * x - (A + 3)) * x * x + 1;
  const far = (x) => ((A * x - 5 * A) * x + 8 * A) * x - 4 * A;
  return [far(t + 1), near(t), near(1 - t), far(2 - t)];
}

function enlarge(digit) {
  // [8, 8] in 0..1 -> [12, 12], bicubic, clamped
  const n = 8, scale = n / SIDE;
  const clamp = (i) => Math.min(n - 1, Math.max(0, i));
  const at = [];
  for (let o = 0; o < SIDE; o++) {
    const x = (o + 0.5) * scale - 0.5;
    const i = Math.floor(x);
    at.push([i, cubic(x - i)]);
  }
  const out = new Float64Array(SIDE * SIDE);
  for (let r = 0; r < SIDE; r++) {
    for (let c = 0; c < SIDE; c++) {
      let sum = 0;
      const [row, wr] = at[r], [column, wc] = at[c];
      for (let a = 0; a < 4; a++) {
        let line = 0;
        for (let b = 0; b < 4; b++) line += wc[b] * digit[clamp(row - 1 + a) * n + clamp(column - 1 + b)];
        sum += wr[a] * line;
      }
      out[r * SIDE + c] = Math.min(1, Math.max(0, sum));
    }
  }
  return out;
}

function path(steps) {
  // positions (down, right), steps + 1 of them
  const corners = TRIANGLE.map(([down, right]) => [SWING * (down - 0.5), SWING * (right - 0.5)]);
  const found = [];
  for (let s = 0; s <= steps; s++) {
    const time = ((corners.length - 1) * s) / steps;
    const line = Math.min(Math.floor(time), corners.length - 2);
    const [a, b] = [corners[line], corners[line + 1]];
    found.push([0, 1].map((d) => a[d] + (time - line) * (b[d] - a[d])));
  }
  return found;
}

function lerp(a, b, weight) {
  // as torch: from the nearer end
  return weight < 0.5 ? a + weight * (b - a) : b - (b - a) * (1 - weight);
}

function scene(picture, [down, right]) {
  // the picture displaced by a position, bilinear; past its border the border goes on
  const top = Math.floor(-down), left = Math.floor(-right);
  const partDown = -down - top, partRight = -right - left;
  const clamp = (i) => Math.min(SIZE - 1, Math.max(0, i));
  const rows = (r, c) => lerp(picture[clamp(r) * SIZE + c], picture[clamp(r + 1) * SIZE + c], partDown);
  const out = new Float64Array(SIZE * SIZE);
  for (let r = 0; r < SIZE; r++) {
    for (let c = 0; c < SIZE; c++) {
      const a = rows(r + top, clamp(c + left)), b = rows(r + top, clamp(c + left + 1));
      out[r * SIZE + c] = lerp(a, b, partRight);
    }
  }
  return out;
}

export class Pixels {
  // pixels that report changes of log intensity, one event for every threshold crossed
  constructor() { this.start = null; this.level = null; }

  see(light) {
    // light [size * size] in 0..1 -> signed numbers of events
    const log = Float64Array.from(light, (v) => Math.log(v + DARK));
    if (this.start === null) {
      this.start = log;
      this.level = new Float64Array(log.length);
    }
    return Float64Array.from(log, (l, i) => {
      const crossings = Math.trunc((l - this.start[i]) / THRESHOLD - this.level[i]);
      this.level[i] += crossings;
      return crossings;
    });
  }
}

export function record(digit, frames) {
  // a digit [64] from 0 to 1 -> event counts [frames, 2, 16, 16]; channel 0 is OFF, channel 1 is ON
  const side = enlarge(Float64Array.from(digit));
  const picture = new Float64Array(SIZE * SIZE);
  for (let r = 0; r < SIDE; r++) picture.set(side.subarray(r * SIDE, (r + 1) * SIDE), (r + MARGIN) * SIZE + MARGIN);
  const steps = Math.max(FINE_STEPS, frames), positions = path(steps), area = SIZE * SIZE;
  const counts = new Float32Array(frames * 2 * area), pixels = new Pixels();
  pixels.see(scene(picture, positions[0]));
  for (let s = 1; s <= steps; s++) {
    const offset = Math.floor(((s - 1) * frames) / steps) * 2 * area;
    pixels.see(scene(picture, positions[s])).forEach((n, i) => {
      if (n > 0) counts[offset + area + i] += n;
      if (n < 0) counts[offset + i] -= n;
    });
  }
  return counts;
}

export function digitFrom(ink, side) {
  // what was drawn, [side, side] of 0 or 1 -> [64] from 0 to 1, the way the digits of the data set were made:
  // the drawing fills 32 x 32 bits in height, and every 4 x 4 of them are counted
  let top = side, bottom = -1, left = side, right = -1;
  for (let r = 0; r < side; r++) {
    for (let c = 0; c < side; c++) {
      if (ink[r * side + c]) {
        top = Math.min(top, r); bottom = Math.max(bottom, r); left = Math.min(left, c); right = Math.max(right, c);
      }
    }
  }
  const out = new Float32Array(64);
  if (bottom < 0) return out;
  const span = Math.max(bottom - top + 1, right - left + 1), scale = span / 32;
  const rowStart = (top + bottom + 1 - span) / 2, columnStart = (left + right + 1 - span) / 2;
  for (let r = 0; r < 32; r++) {
    for (let c = 0; c < 32; c++) {
      const y = Math.floor(rowStart + (r + 0.5) * scale), x = Math.floor(columnStart + (c + 0.5) * scale);
      if (y >= 0 && x >= 0 && y < side && x < side && ink[y * side + x]) out[(r >> 2) * 8 + (c >> 2)] += 1 / 16;
    }
  }
  return out;
}
