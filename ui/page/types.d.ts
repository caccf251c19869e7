/** What the console's routes tell, as ui/web/snapshot_json.py makes it. Only the type check reads this file. */

export type Piece = Node | string | number | null | undefined | false;
/** What stands in an element: pieces in lists of any depth; null, undefined and false are left out. */
export type Children = Piece | Children[];

export type Role = "operator" | "class";
export type ServerState = "starting" | "running" | "stopping" | "stopped" | "failed" | "unreachable";
export type JobState = "queued" | "running" | "succeeded" | "failed" | "cancelled" | "interrupted";
export type Part = "embeddings" | "decoder" | "vision";

/** What Gradio hands to a gr.HTML's js_on_load, and what its Python side wants to tell the script. */
export interface GradioElement {
  element: HTMLElement;
  trigger: (event: string, data?: object) => void;
  props: { value: unknown };
  watch: (name: string, changed: () => void) => void;
  options: Record<string, unknown>;
}

/** Fills an element of Gradio's page. */
export type PartScript = (element: HTMLElement, gradio: GradioElement) => void;

/** A tab's script, or the header's. */
export interface AreaScript {
  /** By the part's name: what fills it. */
  parts: Record<string, PartScript>;
  /** By the event's name: what Gradio tells. An answer goes into the event's outputs. */
  events?: Record<string, (...values: never[]) => unknown>;
}

export interface GpuFigures {
  id: string;
  name: string;
  used_bytes: number | null;
  total_bytes: number | null;
  problem: string;
}

export interface HeaderFigures {
  gpus: GpuFigures[];
  host_used_bytes: number | null;
  host_total_bytes: number | null;
  /** The operator alone is told these: how many of the class are here, how many answers are under way. */
  class_here?: number;
  answering?: number;
}

/** A server behind a proxy (backend/servers/server.py, NodeView); null: not known. */
export interface ProxyNode {
  address: string;
  name: string;
  state: ServerState;
  requests: number | null;
  latency_s: number | null;
  answers_a_minute: number | null;
  tokens_per_s: number | null;
  problem: string | null;
}

/** A server (backend/servers/server.py); what a class may not know is absent. */
export interface Server {
  id: string;
  name: string;
  state: ServerState;
  engine: string;
  model_id: string;
  takes_images: boolean;
  /** Whether it holds an answer to a schema; null: not asked. */
  takes_forms: boolean | null;
  context_length: number;
  progress: number | null;
  stage: string;
  stage_text: string;
  exit_code: number | null;
  created_at: number;
  ready_at: number;
  ended_at: number;
  config?: { gpus: string[] };
  address?: string;
  port?: number;
  command?: string;
  reason?: string | null;
  reason_lines?: string[];
  stop_signal?: string;
  /** With what it could be started again, as its buttons say it, and the settings that each changes. */
  remedies?: { text: string; fields: string[] }[];
  /** What came of the first question; null until it is asked. */
  first?: {
    state: "asking" | "fine" | "strange" | "failed";
    text: string;
    seconds: number;
    problem: string | null;
  } | null;
  /** What is done for it while nobody looks. */
  life?: { restarts: number; idle_s: number; comes_back: boolean; problem: string | null };
  /** The last crash since it is started again by itself; `again_at` 0: it isn't, or not any more. */
  crash?: { at: number; count: number; reason: string | null; again_at: number; lines: string[] } | null;
  /** It runs, with its memory freed. */
  asleep?: boolean;
  /** Behind a proxy. */
  nodes?: ProxyNode[];
}

export interface LayerError {
  layer: number;
  error: number;
}

export interface JobResult {
  before: Partial<Record<Part, number>>;
  after: Partial<Record<Part, number>>;
  seconds: number;
  peak_gpu_bytes: number;
  errors: LayerError[];
  errors_state: string;
  perplexity: { before: number; after: number; tokens: number } | null;
  perplexity_state: string;
  perplexity_problem: string | null;
}

/** A quantization job (backend/quantization/job.py); what a class may not know is absent. */
export interface Job {
  id: string;
  name: string;
  state: JobState;
  stage: string;
  stage_text: string;
  started_at: number;
  ended_at: number;
  slot?: string;
  position?: number;
  remaining_s?: number | null;
  output?: string;
  run_id?: string;
  /** The settings; a class has none. */
  config?: { method: string; quant_dtype: string };
  progress?: {
    stage: string;
    fraction: number;
    done: number;
    of: number;
    peak_gpu_bytes: number;
    /** Of the layer that is being calibrated, where the log tells. */
    sample?: number;
    samples?: number;
  };
  result?: JobResult | null;
  diagnosis?: { reason: string; lines: string[]; remedies: { key: string }[] } | null;
}

export type DownloadState = "queued" | "running" | "paused" | "succeeded" | "failed" | "cancelled" | "interrupted";

/** A model on its way (backend/downloads/download.py); sizes in bytes, `speed` in bytes a second. */
export interface Download {
  id: string;
  name: string;
  state: DownloadState;
  /** The hub, as a person knows it. */
  source: string;
  path: string;
  total_bytes: number;
  done_bytes: number;
  wish: string;
  problem: string | null;
  position: number;
  speed: number | null;
  remaining_s: number | null;
  run_id: string;
}

/** What every page polls (ui/web/snapshot.py). */
export interface Installation {
  id: string;
  state: "running" | "succeeded" | "failed" | "cancelled" | "interrupted";
  started_at: number;
  ended_at: number;
}

export interface Snapshot {
  version: string;
  /** When the console was started, in seconds since the epoch. */
  started_at: number;
  role: Role;
  language: string;
  servers: Server[];
  jobs: Job[];
  /** The operator alone has these. */
  downloads?: Download[];
  /** The newest installation of the engines; null where there was none. */
  installation?: Installation | null;
  header: HeaderFigures;
  notices: string[];
}

/** A part of a log: the text of the bytes `offset` to `next`, of `size` in all (ui/web/routes.py). */
export interface LogChunk {
  text: string;
  offset: number;
  next: number;
  size: number;
}

export interface LogMatches {
  matches: { offset: number; line: string }[];
  before: number | null;
}
