/** What the tab's routes tell (ui/tabs/vram/routes.py), and the little of plotly.js that is used. */

import type { Meta, RawRow, Row } from "./rows.js";

export interface Samples {
  n: number;
  o: number;
  e: number;
  r: RawRow[];
  now?: RawRow | null;
  reset?: boolean;
}

export interface FigureReply extends Samples {
  v: string;
  step: number;
  interval: number;
  figure: Figure;
  owners: Record<string, { id: string; name: string; color: string; kind: string }>;
  gpus: { id: string; name: string; total: number | null; problem: string }[];
  machine: number | null;
  notes: string[];
}

/** The figure's reply with what came since. */
export interface View extends Omit<FigureReply, "r" | "now"> {
  /** The newest row, for the table. */
  newest: Row | null;
}

export interface VramEvent {
  at: number;
  key: string;
  name: string;
  owner: number;
  text: string;
}

export interface Reconciled {
  server: string;
  name: string;
  settings: string;
  gpu: string;
  how: string;
  parts: { part: string; label: string; planned: number; measured: number }[];
  tokens: { planned: number; measured: number | null };
}

export interface EventsReply {
  e: number;
  events: VramEvent[];
  reconciled: Reconciled[];
}

export type Change = Record<string, unknown>;

export interface Trace {
  meta: Meta;
  x: number[];
  y: (number | null)[];
  yaxis: string;
  visible?: boolean | "legendonly";
}

export interface Axis {
  range?: (number | string)[];
  autorange?: boolean;
  visible?: boolean;
}

/** Axes stand beside these as xaxis, yaxis2, …. */
export interface Layout {
  annotations: object[];
  shapes?: object[];
  [axis: string]: unknown;
}

export interface Figure {
  data: Trace[];
  layout: Layout;
}

export interface PlotElement extends HTMLElement {
  data: Trace[];
  layout: Layout;
  _fullLayout?: { _size?: { w: number } };
  on(event: string, listener: (change: Change) => void): void;
}

export interface Plotly {
  react(place: HTMLElement, data: Trace[], layout: Layout, config: object): Promise<PlotElement>;
  relayout(place: HTMLElement, change: Change): Promise<unknown>;
  extendTraces(place: HTMLElement, data: object, indices: number[], most: number): Promise<unknown>;
  downloadImage(figure: object, options: object): Promise<unknown>;
}
