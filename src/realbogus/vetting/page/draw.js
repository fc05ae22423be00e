// Stamps on canvases: parts of one sheet, a stamp a row and a plane a column, enlarged pixel by pixel.

const GAP = 2; // between panels, in CSS pixels

/** Width and height in CSS pixels of `count` panels side by side. */
export function extent(size, zoom, count) { return [count * size * zoom + (count - 1) * GAP, size * zoom]; }

/**
 * Draw panels of one stamp.
 * sheet: ImageBitmap or null; row: place on it; planes: columns of it; turn: { north, parity } or null for as it is.
 */
export function paint(canvas, { sheet, row, planes, size, zoom, turn, ticks, compass }) {
  const [width, height] = extent(size, zoom, planes.length), ratio = window.devicePixelRatio || 1;
  const wide = Math.round(width * ratio), high = Math.round(height * ratio);
  if (canvas.width !== wide || canvas.height !== high) {
    canvas.width = wide; canvas.height = high;
    canvas.style.width = `${width}px`; canvas.style.height = `${height}px`;
  }
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.fillStyle = "#161e27";
  pen.fillRect(0, 0, width, height);
  if (!sheet) { return; }
  pen.imageSmoothingEnabled = false;
  const side = size * zoom;
  planes.forEach((plane, place) => {
    const left = place * (side + GAP);
    pen.save();
    pen.beginPath();
    pen.rect(left, 0, side, side);
    pen.clip();
    pen.translate(left + side / 2, side / 2);
    if (turn) {
      pen.scale(turn.parity, 1);
      pen.rotate((turn.north * Math.PI) / 180);
    }
    pen.drawImage(sheet, plane * size, row * size, size, size, -side / 2, -side / 2, side, side);
    // the source is on pixel [S / 2, S / 2], rows counted from below; the strokes stay upright
    const centre = pen.getTransform().transformPoint({ x: 0.5 * zoom, y: -0.5 * zoom });
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    if (ticks) { mark(pen, centre.x / ratio, centre.y / ratio, zoom); }
    pen.restore();
  });
  if (compass) { rose(pen, compass); }
}

/** Two strokes beside the source, not over it. */
function mark(pen, x, y, zoom) {
  pen.lineWidth = Math.max(1.2, zoom / 3);
  for (const [style, grow] of [["#000000", 2], ["#8dff9a", 0]]) {
    pen.strokeStyle = style;
    pen.lineWidth = Math.max(1.2, zoom / 3) + grow;
    pen.beginPath();
    pen.moveTo(x + 6 * zoom, y); pen.lineTo(x + 13 * zoom, y);
    pen.moveTo(x, y - 6 * zoom); pen.lineTo(x, y - 13 * zoom);
    pen.stroke();
  }
}

/** Arrows to north and east: angle of north counterclockwise from up, and whether east lies to its left. */
function rose(pen, { north, parity }) {
  const reach = 30, x = 44, y = 44, up = (north * Math.PI) / 180;
  pen.font = "600 13px system-ui, sans-serif";
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  for (const [name, angle] of [["N", up], ["E", up + (parity * Math.PI) / 2]]) {
    const dx = -Math.sin(angle), dy = -Math.cos(angle);
    for (const [style, thick] of [["#000000", 4], ["#ffffff", 1.6]]) {
      pen.strokeStyle = style;
      pen.lineWidth = thick;
      pen.beginPath();
      pen.moveTo(x, y);
      pen.lineTo(x + reach * 0.7 * dx, y + reach * 0.7 * dy);
      pen.stroke();
    }
    pen.lineWidth = 4;
    pen.strokeStyle = "#000000";
    pen.strokeText(name, x + reach * dx, y + reach * dy);
    pen.fillStyle = "#ffffff";
    pen.fillText(name, x + reach * dx, y + reach * dy);
  }
}
