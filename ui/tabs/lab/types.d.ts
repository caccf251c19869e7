/** What the Lab's routes tell (ui/tabs/lab/*_routes.py). Only the type check reads this file. */

export type Cell = string | number | null;

/** A start of a server, or a quantization (backend/lab/row.py). Sizes are bytes, times seconds since the epoch. */
export interface RunRow {
  id: string;
  kind: "server" | "quantization";
  state: string;
  name: string;
  note: string;
  [column: string]: Cell;
}

export interface RunDetail {
  config?: Record<string, unknown>;
  versions?: Record<string, unknown>;
  planned?: Record<string, unknown>;
  measured?: Record<string, unknown>;
  seen?: Record<string, unknown>;
  [name: string]: unknown;
}

export type WholeRow = RunRow & { detail: RunDetail };

export interface RunsReply {
  rows: RunRow[];
  total: number;
  states: string[];
  numbers: string[];
}

export interface HistoryValue {
  host: number;
  gpus: Record<string, [number, number | null]>;
  shares: Record<string, number>;
  servers: Record<string, [number, number, number, number | null, number | null]>;
  names: Record<string, string>;
}

export interface HistoryReply {
  step: number;
  rows: [number, HistoryValue][];
}

/** A line of a chart. `points`: [x, y]; a `y` of null interrupts it. */
export interface Series {
  name: string;
  points: [number, number | null][];
}
