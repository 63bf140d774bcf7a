import * as ort from "./ort/ort.wasm.bundle.min.mjs";
import { EVENTS_PER_UNIT, Pixels, digitFrom, record, size } from "./camera.js";
import { cam, energy, growing, rates } from "./explain.js";

const $ = (id) => document.getElementById(id);
const GRID = 24, AREA = size * size, WEBCAM_MS = 100;
const state = { networks: [], costs: null, steps: 5, seen: 5, counts: null, answers: [], busy: false, again: false };

// ---- drawing numbers as pixels ----

function color(name) { return getComputedStyle(document.documentElement).getPropertyValue(name).trim(); }

function rgb(hex) { return [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16)); }

function paint(canvas, width, height, at) {
  // at(row, column) -> [share, colour name]; from the page's colour to the full colour
  canvas.width = width; canvas.height = height;
  const paper = rgb(color("--none")), known = {}, image = new ImageData(width, height);
  for (let i = 0; i < width * height; i++) {
    const [share, name] = at(Math.floor(i / width), i % width);
    const full = (known[name] ??= rgb(color(name)));
    for (let d = 0; d < 3; d++) image.data[4 * i + d] = paper[d] + (full[d] - paper[d]) * Math.min(1, Math.max(0, share));
    image.data[4 * i + 3] = 255;
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
}

function figure(caption, label, className = "") {
  const found = document.createElement("figure"), canvas = document.createElement("canvas");
  canvas.className = className;
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", label);
  found.append(canvas);
  if (caption) {
    const text = document.createElement("figcaption");
    text.textContent = caption;
    found.append(text);
  }
  return found;
}

// ---- the networks ----

async function unpacked(address) {
  const response = await fetch(address);
  if (!response.ok) throw new Error(`${address}: ${response.status}`);
  const bytes = new Uint8Array(await response.arrayBuffer());
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes.buffer;
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
}

async function load() {
  ort.env.wasm.numThreads = 1;
  const [wasm, content] = await Promise.all([
    unpacked("ort/ort-wasm-simd-threaded.wasm.packed"),
    fetch("networks.json").then((answer) => answer.json()),
  ]);
  ort.env.wasm.wasmBinary = wasm;
  state.networks = content.networks;
  state.costs = content.costs;
  state.steps = state.seen = content.networks[0].steps;
  const sessions = {};
  for (const network of state.networks) {
    network.session = sessions[network.file] ??= await ort.InferenceSession.create(network.file);
  }
  samples(content.samples);
  choices();
  $("steps").max = $("steps").value = state.steps;
  use(content.samples[6].pixels.map((v) => v / 16), `sample of class ${content.samples[6].label}`);
}

async function answer(network, counts) {
  const x = Float32Array.from(counts, (v) => v / EVENTS_PER_UNIT);
  const started = performance.now();
  const given = { x: new ort.Tensor("float32", x, [state.steps, 1, 2, size, size]) };
  if (network.attention !== null) given.attention = new ort.Tensor("float32", [network.attention], [1]);
  const found = await network.session.run(given);
  const milliseconds = performance.now() - started;
  const classes = found.logits.dims[2], spikes = {};
  for (const name of network.neurons) spikes[name] = rates(found[`spikes ${name}`].data, state.steps);
  const inputRates = Array.from({ length: state.steps }, (_, t) =>
    counts.subarray(t * 2 * AREA, (t + 1) * 2 * AREA).filter((v) => v !== 0).length / (2 * AREA));
  const probabilities = growing(found.logits.data, state.steps, classes);
  const last = probabilities[state.steps - 1], chosen = last.indexOf(Math.max(...last));
  const explained = found[`spikes ${network.explained}`];
  return {
    probabilities, spikes, chosen, milliseconds,
    gate: network.gate ? found[network.gate] : null,
    cams: cam(explained.data, explained.dims, network.head[chosen], state.steps),
    camSide: explained.dims[4],
    energy: energy(network.layers, spikes, inputRates, state.costs, state.steps),
  };
}

async function run() {
  if (state.busy) { state.again = true; return; }
  state.busy = true;
  do {
    state.again = false;
    const counts = state.counts, answers = [];
    for (const [i, network] of state.networks.entries()) {
      answers.push($(`show-${i}`).checked ? await answer(network, counts) : null);
    }
    state.answers = answers;
    show();
    performance.mark("answered");
  } while (state.again);
  state.busy = false;
}

function use(digit, words) {
  state.words = words;
  useCounts(record(digit, state.steps));
}

function useCounts(counts) {
  state.counts = counts;
  events();
  run();
}

// ---- what is shown ----

function events() {
  const row = $("events");
  row.replaceChildren();
  for (let t = 0; t < state.steps; t++) {
    const part = state.counts.subarray(t * 2 * AREA, (t + 1) * 2 * AREA), sum = part.reduce((a, b) => a + b, 0);
    const found = figure(`step ${t + 1}`, `Events of step ${t + 1}: ${sum}`, "map");
    paint(found.firstChild, size, size, (r, c) => {
      const off = part[r * size + c], on = part[AREA + r * size + c];
      return on >= off ? [on / 6, "--on"] : [off / 6, "--off"];
    });
    row.append(found);
  }
  dim();
}

function dim() {
  for (const figures of document.querySelectorAll(".row")) {
    [...figures.children].forEach((child, t) => child.classList.toggle("later", t >= state.seen));
  }
}

function show() {
  const shown = state.networks.map((_, i) => $(`show-${i}`).checked), all = $("networks"), t = state.seen - 1;
  all.replaceChildren();
  const words = [];
  state.networks.forEach((network, i) => {
    if (!shown[i] || !state.answers[i]) return;
    all.append(card(network, state.answers[i], t));
    const by = state.answers[i].probabilities[t], best = by.indexOf(Math.max(...by));
    words.push(`${network.title}: ${best}, ${(100 * by[best]).toFixed(0)} %`);
  });
  $("status").textContent = `After ${state.seen} of ${state.steps} steps of ${state.words}. ${words.join("; ")}.`;
  $("steps-out").textContent = `${state.seen} of ${state.steps}`;
  dim();
}

function card(network, found, t) {
  const box = document.createElement("article"), by = found.probabilities[t], best = by.indexOf(Math.max(...by));
  const title = document.createElement("h3");
  title.textContent = network.title;
  const answered = document.createElement("div");
  answered.className = "answer";
  answered.textContent = best;
  const bars = document.createElement("div");
  bars.className = "bars";
  bars.setAttribute("role", "img");
  bars.setAttribute("aria-label", `Probabilities: ${by.map((p, k) => `${k}: ${(100 * p).toFixed(0)} %`).join(", ")}`);
  by.forEach((p, k) => {
    const bar = document.createElement("span"), fill = document.createElement("i");
    fill.style.height = `${(70 * p).toFixed(1)}%`;
    bar.className = k === best ? "first" : "";
    bar.append(fill, String(k));
    bars.append(bar);
  });
  const growth = figure("Probability of the answer, by step", `Probability of ${found.chosen} by step: ` +
    found.probabilities.map((p) => `${(100 * p[found.chosen]).toFixed(0)} %`).join(", "));
  paint(growth.firstChild, state.steps * 8, 20, (r, c) => {
    const step = Math.floor(c / 8), filled = 1 - (r + 1) / 20 < found.probabilities[step][found.chosen];
    return [filled && c % 8 ? (step <= t ? 1 : 0.25) : 0, "--accent"];
  });
  const names = network.neurons, peak = Math.max(...names.flatMap((name) => found.spikes[name]), 1e-9);
  const spikes = figure(`Spikes by layer and step, up to ${(100 * peak).toFixed(0)} % of the neurons`,
    `Share of neurons that fire at step ${t + 1}: ` +
    names.map((name) => `${name} ${(100 * found.spikes[name][t]).toFixed(1)} %`).join(", "));
  spikes.className = "tall";
  paint(spikes.firstChild, state.steps, names.length, (r, c) =>
    [(c <= t ? 1 : 0.25) * (found.spikes[names[r]][c] / peak), "--on"]);
  box.append(title, answered, bars, growth, spikes);
  if (found.gate) {
    const [T, , C, h, w] = found.gate.dims, means = [];
    for (let i = 0; i < T * C; i++) {
      let sum = 0;
      for (let p = 0; p < h * w; p++) sum += found.gate.data[i * h * w + p];
      means.push(sum / (h * w));
    }
    const low = Math.min(...means), high = Math.max(...means);
    const gate = figure(`Gate, ${T} steps by ${C} channels, ${low.toFixed(2)} to ${high.toFixed(2)}`,
      `Gate between ${low.toFixed(2)} and ${high.toFixed(2)}`);
    paint(gate.firstChild, C, T, (r, c) => [(means[Math.min(r, T - 1) * C + c] - low) / (high - low || 1), "--accent"]);
    box.append(gate);
  }
  const maps = document.createElement("div");
  maps.className = "row";
  const most = Math.max(...found.cams.flat(), 1e-12);
  found.cams.forEach((map, step) => {
    const one = figure("", `Grad-CAM of step ${step + 1} for ${found.chosen}`, "map");
    paint(one.firstChild, found.camSide, map.length / found.camSide, (r, c) => [map[r * found.camSide + c] / most, "--on"]);
    maps.append(one);
  });
  const caption = document.createElement("p");
  caption.className = "small";
  caption.textContent = `Grad-CAM for ${found.chosen}, by step`;
  const list = document.createElement("dl");
  for (const [term, value] of [
    ["Energy so far", `${(found.energy[t] / 1e3).toFixed(0)} nJ`],
    ["Time in this browser", `${found.milliseconds.toFixed(0)} ms`],
    ["Test accuracy", `${(100 * network.accuracy).toFixed(2)} %`],
  ]) {
    const dt = document.createElement("dt"), dd = document.createElement("dd");
    dt.textContent = term; dd.textContent = value;
    list.append(dt, dd);
  }
  box.append(caption, maps, list);
  return box;
}

// ---- what can be chosen ----

function samples(digits) {
  for (const { label, pixels } of digits) {
    const button = document.createElement("button"), canvas = document.createElement("canvas");
    button.type = "button";
    button.setAttribute("aria-label", `Sample of class ${label}`);
    canvas.setAttribute("aria-hidden", "true");
    button.append(canvas);
    const draw = () => paint(canvas, 8, 8, (r, c) => [pixels[r * 8 + c] / 16, "--ink"]);
    draw();
    repaint.push(draw);
    button.addEventListener("click", () => use(pixels.map((v) => v / 16), `sample of class ${label}`));
    $("samples").append(button);
  }
}

function choices() {
  state.networks.forEach((network, i) => {
    const label = document.createElement("label"), box = document.createElement("input");
    box.type = "checkbox"; box.checked = network.attention !== 0; box.id = `show-${i}`;
    box.addEventListener("change", run);
    label.append(box, ` ${network.title}`);
    $("shown").append(label);
  });
}

const repaint = [];
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  repaint.forEach((draw) => draw());
  if (state.counts) { events(); show(); }
});

$("steps").addEventListener("input", () => { state.seen = Number($("steps").value); show(); });
$("play").addEventListener("click", () => {
  state.seen = 0;
  const timer = setInterval(() => {
    state.seen += 1;
    $("steps").value = state.seen;
    show();
    if (state.seen >= state.steps) clearInterval(timer);
  }, 500);
});

// ---- drawing ----

const ink = new Uint8Array(GRID * GRID), pen = { row: 12, column: 12, down: false };

function sheet(focused) {
  const canvas = $("draw"), brush = canvas.getContext("2d"), unit = canvas.width / GRID;
  brush.fillStyle = "#000";
  brush.fillRect(0, 0, canvas.width, canvas.height);
  brush.fillStyle = "#fff";
  ink.forEach((v, i) => { if (v) brush.fillRect((i % GRID) * unit, Math.floor(i / GRID) * unit, unit, unit); });
  if (focused) {
    brush.strokeStyle = "#ffa25c";
    brush.lineWidth = 2;
    brush.strokeRect(pen.column * unit + 1, pen.row * unit + 1, unit - 2, unit - 2);
  }
}

function dot(row, column) {
  for (const [r, c] of [[0, 0], [0, 1], [1, 0], [1, 1]]) {
    const y = Math.min(GRID - 1, Math.max(0, row + r)), x = Math.min(GRID - 1, Math.max(0, column + c));
    ink[y * GRID + x] = 1;
  }
}

function drawn() { if (state.networks.length) use(digitFrom(ink, GRID), "your drawing"); }

function place(event) {
  const box = $("draw").getBoundingClientRect();
  return [(event.clientY - box.top) / box.height, (event.clientX - box.left) / box.width].map((v) => Math.floor(v * GRID));
}

$("draw").addEventListener("pointerdown", (event) => {
  $("draw").setPointerCapture(event.pointerId);
  pen.down = true;
  [pen.row, pen.column] = place(event);
  dot(pen.row, pen.column);
  sheet();
});
$("draw").addEventListener("pointermove", (event) => {
  if (!pen.down) return;
  const [row, column] = place(event), many = Math.max(Math.abs(row - pen.row), Math.abs(column - pen.column), 1);
  for (let i = 1; i <= many; i++) {
    dot(Math.round(pen.row + ((row - pen.row) * i) / many), Math.round(pen.column + ((column - pen.column) * i) / many));
  }
  [pen.row, pen.column] = [row, column];
  sheet();
});
for (const end of ["pointerup", "pointercancel"]) {
  $("draw").addEventListener(end, () => { if (pen.down) { pen.down = false; drawn(); } });
}
const MOVES = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
$("draw").addEventListener("keydown", (event) => {
  if (event.key in MOVES) {
    const [r, c] = MOVES[event.key];
    pen.row = Math.min(GRID - 1, Math.max(0, pen.row + r));
    pen.column = Math.min(GRID - 1, Math.max(0, pen.column + c));
    if (event.shiftKey) dot(pen.row, pen.column);
  } else if (event.key === " ") {
    dot(pen.row, pen.column);
  } else {
    return;
  }
  event.preventDefault();
  sheet(true);
  drawn();
});
$("draw").addEventListener("focus", () => sheet(true));
$("draw").addEventListener("blur", () => sheet());
$("clear").addEventListener("click", () => { ink.fill(0); sheet(); });

// ---- the webcam as an event camera: its pixels report changes of log intensity, a frame every 100 ms ----

const film = { stream: null, timer: null };

$("webcam").addEventListener("click", async () => {
  if (film.stream) { stopFilm(); return; }
  try {
    film.stream = await navigator.mediaDevices.getUserMedia({ video: { width: 160, height: 120 } });
  } catch (error) {
    $("status").textContent = `There is no webcam that may be used (${error.name}).`;
    return;
  }
  $("webcam").setAttribute("aria-pressed", "true");
  $("video").srcObject = film.stream;
  await $("video").play();
  const small = document.createElement("canvas"), pixels = new Pixels(), frames = [];
  small.width = small.height = size;
  const brush = small.getContext("2d", { willReadFrequently: true });
  film.timer = setInterval(() => {
    const { videoWidth: w, videoHeight: h } = $("video"), side = Math.min(w, h);
    brush.drawImage($("video"), (w - side) / 2, (h - side) / 2, side, side, 0, 0, size, size);
    const { data } = brush.getImageData(0, 0, size, size), frame = new Float32Array(2 * AREA);
    const light = Float64Array.from({ length: AREA }, (_, i) =>
      (0.299 * data[4 * i] + 0.587 * data[4 * i + 1] + 0.114 * data[4 * i + 2]) / 255);
    pixels.see(light).forEach((n, i) => { if (n > 0) frame[AREA + i] = n; else frame[i] = -n; });
    frames.push(frame);
    if (frames.length > state.steps) frames.shift();
    if (frames.length < state.steps) return;
    const counts = new Float32Array(state.steps * 2 * AREA);
    frames.forEach((one, t) => counts.set(one, t * 2 * AREA));
    state.words = "the webcam";
    useCounts(counts);
  }, WEBCAM_MS);
});

function stopFilm() {
  clearInterval(film.timer);
  film.stream.getTracks().forEach((track) => track.stop());
  film.stream = null;
  $("webcam").setAttribute("aria-pressed", "false");
}

sheet();
load().catch((error) => {
  $("status").textContent = `The networks could not be loaded (${error.message}).`;
  throw error;
});
