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

export type Percentiles = [number | null, number | null, number | null];

/** One level of load (backend/lab/benchmark/statistics.py), with what the console saw meanwhile. */
export interface Level {
  users: number;
  requests: number;
  failed: number;
  tokens_per_s: number;
  requests_per_s: number;
  ttft_ms: Percentiles;
  tpot_ms: Percentiles;
  kv_usage: number | null;
  gpu_bytes: number | null;
  watts: number | null;
  client_limited: boolean;
  approximate: boolean;
}

export interface Target {
  name: string;
  engine: string;
  stage: string;
  levels: Level[];
  problem: string | null;
  knee: number | null;
  line: string;
  skipped: string | null;
  answered: number;
}

export interface Benchmark {
  id: string;
  name: string;
  state: import("../../page/types.d.ts").JobState;
  config: {
    users: number[];
    prompt_tokens: number;
    answer_tokens: number;
    seconds: number;
    picture: boolean;
    table: string;
  };
  questions: number;
  created_at: number;
  started_at: number;
  ended_at: number;
  estimate_s: number;
  targets: Target[];
}

export interface Cost {
  seconds: number;
  targets: string[];
  levels: number;
  most_users: number;
  questions: number;
  skipped: string[];
  asked: string[];
}

/** A model that the tutorials' table can be made of (backend/lab/benchmark/tables.py). */
export interface TableOffer {
  path: string;
  name: string;
  weights: string;
  own_code: boolean;
}

export interface TablesReply {
  gpu: boolean;
  models: TableOffer[];
}

/** An answer as far as it is the first server's, and what follows (backend/lab/quality/compare.py). */
export interface Answer {
  same: string;
  rest: string;
  differs: boolean;
  right: boolean | null;
  tokens: number;
  cut: boolean;
}

export interface QualityServer {
  name: string;
  bytes: number | null;
  problems: Record<string, string>;
  figures: {
    right: number;
    scored: number;
    answered: number;
    same: number | null;
    agreement: number | null;
    hits: number | null;
    perplexity: number | null;
    tokens_per_s: number | null;
  } | null;
}

/** A line of the tutorials' table (backend/lab/benchmark/compared.py). */
export interface TableLine {
  line: string;
  name: string;
  skipped: string | null;
  problem: string | null;
  planned_bytes: number | null;
  measured_bytes: number | null;
  planned_tokens: number | null;
  tokens: number | null;
  tokens_times: number | null;
  speed: number | null;
  speed_many: number | null;
  speed_times: number | null;
  speed_many_times: number | null;
  perplexity: number | null;
  right: number | null;
  scored: number | null;
  claim: { bytes: number | null; tokens_times: number | null; speed_times: number | null };
}

export interface Compared {
  servers: QualityServer[];
  answers: { id: string; kind: string; text: string; answers: (Answer | null)[] }[];
  table: TableLine[] | null;
}

/** A lesson on the shelf (ui/tabs/lab/lesson_routes.py), with how far this visitor is. */
export interface LessonLine {
  id: string;
  title: string;
  minutes: number;
  own: boolean;
  done: number;
  of: number;
  begun: boolean;
}

export interface LessonStep {
  id: string;
  kind: "check" | "predict" | "read";
  text: string;
  why: string;
  tab: string;
  control: string;
  can_replay: boolean;
  done: string | null;
  said: number | null;
  explained: string;
  replay: string;
}

export interface MeasuredServer {
  name: string;
  planned: Record<string, number>;
  measured: Record<string, number>;
  total: number | null;
  tokens: number | null;
}

export interface WholeLesson extends LessonLine {
  intro: string;
  words: string;
  steps: LessonStep[];
  measured: MeasuredServer[];
}

export interface ShelfReply {
  lessons: LessonLine[];
  problems: string[];
  name: string;
}

export interface ClassReply {
  lessons: { id: string; title: string }[];
  people: {
    who: string;
    name: string;
    here: boolean;
    last_at: number;
    ways: { id: string; done: number; of: number }[];
  }[];
}
