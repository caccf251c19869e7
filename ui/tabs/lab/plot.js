// @ts-check
/** Small charts as SVG: points, lines, a marked place. Figures are worked out apart from the drawing. */

import { number } from "../../page/format.js";

/** @import { Series } from "./types.d.ts" */
/** @typedef {{name: string, format?: (value: number) => string, from?: number, to?: number}} Axis */

const SPACE = "http://www.w3.org/2000/svg";
const WIDTH = 640;
const HEIGHT = 280;
const EDGE = { left: 64, right: 44, top: 12, bottom: 44 };
export const COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b07d00", "#56b4e9", "#7b6ca8", "#64748b"];

/**
 * Round places of an axis from about `low` to about `high`: at most `most` + 1 of them.
 *
 * @param {number} low
 * @param {number} high
 * @param {number} [most]
 */
export function ticks(low, high, most = 6) {
  if (!Number.isFinite(low) || !Number.isFinite(high)) return [0, 1];
  if (high <= low) [low, high] = low === 0 ? [0, 1] : [low - Math.abs(low) * 0.1, low + Math.abs(low) * 0.1];
  const rough = (high - low) / most;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((width) => width >= rough * 0.999) ?? 10 * power;
  const first = Math.floor(low / step + 1e-9);
  const last = Math.ceil(high / step - 1e-9);
  return Array.from({ length: last - first + 1 }, (_, index) => Number(((first + index) * step).toPrecision(12)));
}

/**
 * The places of an axis over these values. From zero, unless they are far from it.
 *
 * @param {number[]} values
 * @param {Axis} axis
 */
export function span(values, axis) {
  const low = axis.from ?? Math.min(...values);
  const high = axis.to ?? Math.max(...values);
  const near = low > 0 && low < high * 0.7 && axis.from === undefined;
  return ticks(near ? 0 : low, high);
}

/**
 * @param {string} tag
 * @param {Record<string, string | number>} attributes
 * @param {...(Node | string)} children
 */
function draw(tag, attributes, ...children) {
  const element = document.createElementNS(SPACE, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.append(...children);
  return element;
}

/**
 * A chart of several series; as lines, or as points alone. `mark` is an x that gets a line with a word.
 *
 * @param {Series[]} series
 * @param {{x: Axis, y: Axis, points?: boolean, mark?: {x: number, text: string} | null, label: string}} look
 */
export function chart(series, { x, y, points = false, mark = null, label }) {
  const drawn = series.flatMap((one) => one.points.filter((point) => point[1] !== null));
  const image = draw("svg", {
    class: "lab-chart",
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
    role: "img",
    "aria-label": label,
  });
  if (drawn.length === 0) return image;
  const [xs, ys] = [drawn.map((point) => point[0]), drawn.map((point) => Number(point[1]))];
  const [across, up] = [span(xs, x), span(ys, y)];
  const placeX = place(across, EDGE.left, WIDTH - EDGE.right);
  const placeY = place(up, HEIGHT - EDGE.bottom, EDGE.top);
  image.append(...axes(across, up, placeX, placeY, x, y));
  series.forEach((one, index) => {
    const colour = COLOURS[index % COLOURS.length];
    if (!points)
      image.append(
        draw("path", { d: path(one.points, placeX, placeY), stroke: colour, fill: "none", "stroke-width": 2 }),
      );
    if (points || one.points.length <= 40) image.append(...dots(one, colour, placeX, placeY, x, y));
  });
  if (mark) {
    const at = placeX(mark.x);
    image.append(
      draw("line", { x1: at, x2: at, y1: EDGE.top, y2: HEIGHT - EDGE.bottom, class: "lab-mark" }),
      draw("text", { x: at + 4, y: EDGE.top + 10, class: "lab-mark-text" }, mark.text),
    );
  }
  return image;
}

/**
 * @param {number[]} places
 * @param {number} start
 * @param {number} end
 */
const place = (places, start, end) => (/** @type {number} */ value) => {
  const [low, high] = [places[0], places[places.length - 1]];
  return Math.round((start + ((value - low) / (high - low || 1)) * (end - start)) * 10) / 10;
};

/** @typedef {(value: number) => number} Place */

/** @param {[number, number | null][]} points @param {Place} placeX @param {Place} placeY */
export function path(points, placeX, placeY) {
  let pen = "M";
  const said = [];
  for (const [x, y] of points) {
    if (y === null) {
      pen = "M";
      continue;
    }
    said.push(`${pen}${placeX(x)} ${placeY(y)}`);
    pen = "L";
  }
  return said.join(" ");
}

/** @param {Axis} axis @param {number} value */
const said = (axis, value) => (axis.format ? axis.format(value) : number(value, 3));

/** @param {Series} one @param {string} colour @param {Place} placeX @param {Place} placeY @param {Axis} x @param {Axis} y */
function dots(one, colour, placeX, placeY, x, y) {
  return one.points
    .filter((point) => point[1] !== null)
    .map(([at, value]) => {
      const title = `${one.name}: ${said(x, at)}, ${said(y, Number(value))}`;
      const dot = { cx: placeX(at), cy: placeY(Number(value)), r: 3.5, fill: colour, class: "lab-dot" };
      return draw("circle", dot, draw("title", {}, title));
    });
}

/**
 * @param {number[]} across
 * @param {number[]} up
 * @param {Place} placeX
 * @param {Place} placeY
 * @param {Axis} x
 * @param {Axis} y
 */
function axes(across, up, placeX, placeY, x, y) {
  const [left, right, bottom] = [EDGE.left, WIDTH - EDGE.right, HEIGHT - EDGE.bottom];
  const middle = { "text-anchor": "middle" };
  return [
    ...up.flatMap((value) => [
      draw("line", { x1: left, x2: right, y1: placeY(value), y2: placeY(value), class: "lab-grid" }),
      draw("text", { x: left - 6, y: placeY(value) + 4, "text-anchor": "end" }, said(y, value)),
    ]),
    ...across.map((value) => draw("text", { x: placeX(value), y: bottom + 16, ...middle }, said(x, value))),
    draw("text", { x: (left + right) / 2, y: HEIGHT - 8, class: "lab-axis", ...middle }, x.name),
    draw(
      "text",
      {
        x: 14,
        y: (EDGE.top + bottom) / 2,
        class: "lab-axis",
        transform: `rotate(-90 14 ${(EDGE.top + bottom) / 2})`,
        ...middle,
      },
      y.name,
    ),
  ];
}
