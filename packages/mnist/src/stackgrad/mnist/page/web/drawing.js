// The canvas to draw on, with a pointer or the keyboard. Strokes are lists of points [x, y], from 0 to 1 across the
// page, so that nothing depends on its size on the screen.

const PEN = 0.06; // the pen's width on the screen; the server chooses its own
const NEAR = 0.004; // points nearer to the last one are left out
const MOST_POINTS = 9000;
const KEY_STEP = 1 / 24;
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export class Drawing {
  // onChange() is called when the strokes change, and onPen(isDown) when the keyboard's pen is put down or lifted.
  constructor(canvas, { onChange, onPen }) {
    this.canvas = canvas;
    this.onChange = onChange;
    this.onPen = onPen;
    this.strokes = [];
    this.points = 0;
    this.stroke = null; // the stroke that a pointer or the keyboard's pen is drawing
    this.pointer = null;
    this.pen = null; // the position of the keyboard's pen, [x, y]
    this.arrows = new Set(); // the keys that are held down
    this.picture = null; // shown instead of strokes
    this.listen();
  }

  listen() {
    const { canvas } = this;
    canvas.addEventListener("pointerdown", (event) => this.pointerDown(event));
    canvas.addEventListener("pointermove", (event) => this.pointerMove(event));
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, (event) => this.pointerUp(event));
    canvas.addEventListener("keydown", (event) => this.keyDown(event));
    canvas.addEventListener("keyup", (event) => this.arrows.delete(event.key));
    canvas.addEventListener("blur", () => this.liftPen());
    new ResizeObserver(() => this.paint()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.paint());
  }

  // Pointers

  pointerDown(event) {
    if (this.pointer !== null || event.button !== 0) return;
    event.preventDefault();
    this.canvas.focus({ preventScroll: true, focusVisible: false });
    this.canvas.setPointerCapture(event.pointerId);
    this.pointer = event.pointerId;
    this.pen = null;
    this.begin(this.position(event));
  }

  pointerMove(event) {
    if (event.pointerId !== this.pointer) return;
    const passed = event.getCoalescedEvents?.() ?? [];
    for (const each of passed.length ? passed : [event]) this.extend(this.position(each));
  }

  pointerUp(event) {
    if (event.pointerId !== this.pointer) return;
    this.pointer = this.stroke = null;
  }

  position(event) {
    const box = this.canvas.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  }

  // Keyboard

  keyDown(event) {
    if (event.key in ARROWS) {
      this.arrows.add(event.key);
      this.pen ??= [0.5, 0.25];
      for (const key of this.arrows) {
        const [right, down] = ARROWS[key];
        this.pen = [inside(this.pen[0] + right * KEY_STEP), inside(this.pen[1] + down * KEY_STEP)];
      }
      if (this.stroke) this.extend(this.pen);
      this.paint();
    } else if (event.key === " " || event.key === "Enter") {
      if (event.repeat) return event.preventDefault();
      this.pen ??= [0.5, 0.25];
      if (this.stroke) this.liftPen();
      else {
        this.begin(this.pen);
        this.onPen(true);
      }
    } else if (event.key === "Backspace" || (event.key === "z" && (event.ctrlKey || event.metaKey))) this.undo();
    else if (event.key === "Escape" || event.key === "Delete") this.clear();
    else return;
    event.preventDefault();
  }

  liftPen() {
    this.arrows.clear();
    if (!this.stroke || this.pointer !== null) return;
    this.stroke = null;
    this.onPen(false);
    this.paint();
  }

  // Strokes

  begin(point) {
    this.picture = null;
    if (this.points >= MOST_POINTS) return;
    this.stroke = [point.map(inside)];
    this.strokes.push(this.stroke);
    this.points += 1;
    this.changed();
  }

  extend(point) {
    const [x, y] = point.map(inside);
    const [lastX, lastY] = this.stroke?.at(-1) ?? [x, y];
    if (Math.hypot(x - lastX, y - lastY) < NEAR || this.points >= MOST_POINTS) return;
    this.stroke.push([x, y]);
    this.points += 1;
    this.changed();
  }

  undo() {
    this.stroke = this.picture = null;
    this.points -= this.strokes.pop()?.length ?? 0;
    this.changed();
  }

  clear() {
    this.pen = null;
    this.show(null);
    this.onChange();
  }

  // Shows a picture, anything that drawImage accepts, instead of strokes.
  show(picture, { smooth = true } = {}) {
    this.stroke = null;
    this.strokes = [];
    this.points = 0;
    this.picture = picture;
    this.smooth = smooth;
    this.paint();
  }

  get isEmpty() {
    return !this.strokes.length && !this.picture;
  }

  changed() {
    this.paint();
    this.onChange();
  }

  // Painting

  paint() {
    const { canvas } = this;
    const side = Math.round(canvas.clientWidth * devicePixelRatio);
    if (canvas.width !== side || canvas.height !== side) canvas.width = canvas.height = side;
    const context = canvas.getContext("2d");
    context.clearRect(0, 0, side, side);
    if (this.picture) this.paintPicture(context, side);
    context.strokeStyle = context.fillStyle = getComputedStyle(canvas).color;
    context.lineCap = context.lineJoin = "round";
    context.lineWidth = PEN * side;
    for (const stroke of this.strokes) paintStroke(context, stroke, side);
    if (this.pen) this.paintPen(context, side);
  }

  paintPicture(context, side) {
    const { width, height } = this.picture;
    const scale = side / Math.max(width, height);
    const [w, h] = [width * scale, height * scale];
    context.imageSmoothingEnabled = this.smooth;
    context.drawImage(this.picture, (side - w) / 2, (side - h) / 2, w, h);
  }

  paintPen(context, side) {
    context.beginPath();
    context.arc(this.pen[0] * side, this.pen[1] * side, (PEN * side) / 2 + 3, 0, 2 * Math.PI);
    context.lineWidth = this.stroke ? 6 : 3;
    context.strokeStyle = getComputedStyle(this.canvas).getPropertyValue("--lead");
    context.stroke();
  }
}

const inside = (x) => Math.round(Math.min(1, Math.max(0, x)) * 1e4) / 1e4;

// Draws a smooth line through the midpoints between the points.
function paintStroke(context, stroke, side) {
  const [first, ...rest] = stroke.map(([x, y]) => [x * side, y * side]);
  context.beginPath();
  context.moveTo(...first);
  let [x, y] = first;
  for (const [nextX, nextY] of rest) {
    context.quadraticCurveTo(x, y, (x + nextX) / 2, (y + nextY) / 2);
    [x, y] = [nextX, nextY];
  }
  context.lineTo(x, y);
  context.stroke();
}
