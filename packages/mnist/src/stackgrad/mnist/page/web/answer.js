// Shows an answer of the model: the best class, the probabilities as bars, and the channels of its layers.

const MOST_BARS = 10;
const LAYERS = ["First layer", "Second layer"];

export class Answer {
  // run: the server's description of the run
  constructor(run, { digit, sure, bars, spoken, layers }) {
    this.labels = run.labels;
    Object.assign(this, { digit, sure, spoken });
    bars.classList.toggle("short", run.labels.every((label) => label.length <= 2));
    this.rows = Array.from({ length: Math.min(MOST_BARS, run.labels.length) }, () => new Row(bars));
    this.tiles = [
      new Channels(layers, "Input", [1, 28, 28], greys),
      ...run.layers.map((shape, i) => new Channels(layers, LAYERS[i], shape, colours)),
    ];
    this.clear();
  }

  // answer: the server's response; truth: the correct class, if known.
  show(answer, truth) {
    const { probabilities } = answer;
    const best = probabilities.indexOf(Math.max(...probabilities));
    this.fill(probabilities, best);
    this.name(this.labels[best]);
    const verdict = truth === undefined ? "" : truth === best ? ", correct" : `, but it is ${this.labels[truth]}`;
    this.sure.textContent = `${percent(probabilities[best])} sure${verdict}`;
    this.say(`${this.labels[best]}, ${percent(probabilities[best])} sure${verdict}`);
    [answer.image, ...answer.layers].forEach((packed, i) => this.tiles[i].show(packed.pixels));
  }

  clear() {
    this.fill(this.labels.map(() => 0), -1);
    this.name("–");
    this.sure.textContent = "nothing drawn yet";
    this.say("");
    for (const tile of this.tiles) tile.clear();
  }

  // Shows all classes in their order; if there are too many, the most probable ones, highest first.
  fill(probabilities, best) {
    let classes = probabilities.map((_, i) => i);
    if (classes.length > MOST_BARS) {
      classes = classes.sort((a, b) => probabilities[b] - probabilities[a]).slice(0, MOST_BARS);
    }
    classes.forEach((i, row) => this.rows[row].show(this.labels[i], probabilities[i], i === best));
  }

  name(label) {
    this.digit.textContent = label;
    this.digit.classList.toggle("long", label.length > 2);
  }

  // Tells screen readers, once the answer has not changed for a while.
  say(text) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => (this.spoken.textContent = text), 700);
  }
}

class Row {
  constructor(list) {
    this.row = list.appendChild(document.createElement("li"));
    this.label = this.row.appendChild(document.createElement("span"));
    const track = this.row.appendChild(document.createElement("span"));
    track.className = "track";
    track.ariaHidden = "true";
    this.bar = track.appendChild(document.createElement("span"));
    this.percent = this.row.appendChild(document.createElement("span"));
    this.percent.className = "percent";
  }

  show(label, probability, leads) {
    this.row.classList.toggle("leads", leads);
    this.label.textContent = label;
    this.bar.style.setProperty("--probability", probability);
    this.percent.textContent = percent(probability);
  }
}

// The channels of a layer, side by side.
class Channels {
  constructor(parent, title, [count, height, width], palette) {
    Object.assign(this, { count, height, width, palette });
    const section = parent.appendChild(document.createElement("div"));
    const heading = section.appendChild(document.createElement("h2"));
    heading.textContent = title;
    const size = heading.appendChild(document.createElement("span"));
    size.textContent = count === 1 ? `${width} × ${height}` : `${count} channels, ${width} × ${height}`;
    const images = section.appendChild(document.createElement("div"));
    images.className = "channels";
    images.role = "img";
    images.ariaLabel = `${title}, ${size.textContent}`;
    images.style.setProperty("--columns", columns(count));
    section.classList.toggle("input", count === 1);
    this.contexts = Array.from({ length: count }, () => {
      const canvas = images.appendChild(document.createElement("canvas"));
      Object.assign(canvas, { width, height });
      return canvas.getContext("2d");
    });
  }

  show(pixels) {
    const bytes = Uint8Array.from(atob(pixels), (character) => character.charCodeAt(0));
    const size = this.width * this.height;
    this.contexts.forEach((context, i) => this.paint(context, bytes.subarray(i * size, (i + 1) * size)));
  }

  clear() {
    for (const context of this.contexts) this.paint(context, new Uint8Array(this.width * this.height));
  }

  paint(context, bytes) {
    context.putImageData(image(bytes, this.width, this.height, this.palette), 0, 0);
  }
}

// Converts levels (bytes) to an image in the colours of a palette.
export function image(levels, width, height, palette = greys) {
  const data = new ImageData(width, height);
  levels.forEach((level, i) => data.data.set(palette[level], 4 * i));
  return data;
}

// How many images to put in a row, so that few rows are half empty.
function columns(count) {
  if (count <= 8) return count <= 4 ? count : Math.ceil(count / 2);
  return [8, 7, 6].find((n) => count % n === 0) ?? 8;
}

const percent = (x) => `${(100 * x).toFixed(1)} %`;

// 256 colours [r, g, b, a] that pass through the given ones: evenly, or earlier with an exponent below 1.
function palette(stops, exponent = 1) {
  return Array.from({ length: 256 }, (_, level) => {
    const at = (level / 255) ** exponent * (stops.length - 1);
    const i = Math.min(Math.floor(at), stops.length - 2);
    return [...stops[i].map((low, c) => Math.round(low + (at - i) * (stops[i + 1][c] - low))), 255];
  });
}

const greys = palette([[0, 0, 0], [255, 255, 255]]);
// Viridis, which is readable for the colour-blind, with an exponent, since most of a channel is faint beside its peaks.
const VIRIDIS = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]];
const colours = palette(VIRIDIS, 0.7);
