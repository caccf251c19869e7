// @ts-check
/** Samples as the console sends them (ui/tabs/vram/rows.py), decoded once into figures with names. Memory is in MiB. */

/** @typedef {number[]} Flat owner, MiB, owner, MiB, … */
/** @typedef {[number | null, number | null, number | null, number | null, Flat]} RawGpu */
/** @typedef {[number, number, number, number, number | null, number | null]} RawCache */
/** @typedef {[number, number, (RawGpu | null)[], Flat, RawCache[]]} RawRow */

/** @typedef {Map<number, number>} Shares by owner */
/**
 * @typedef {object} Gpu
 * @property {number | null} used
 * @property {number | null} utilization percent
 * @property {number | null} watts
 * @property {number | null} celsius
 * @property {Shares} shares
 */
/**
 * @typedef {object} Cache a server's KV cache
 * @property {number} usage 0…1
 * @property {number} running
 * @property {number} waiting
 * @property {number | null} speed tokens a second
 * @property {number | null} size
 */
/**
 * @typedef {object} Row one sample
 * @property {number} at seconds, by the sampler's own clock
 * @property {number} machine the machine's memory in use
 * @property {(Gpu | null)[]} gpus
 * @property {Shares} resident the machine's memory of each owner
 * @property {Map<number, Cache>} caches by owner
 */
/** @typedef {{gpu: number, owner: number, kind: string}} Meta what a trace draws (ui/tabs/vram/figure.py) */

const MIB_PER_GIB = 1024;

/** @param {RawRow} raw @returns {Row} */
export function decoded([at, machine, gpus, resident, caches]) {
  return {
    at,
    machine,
    gpus: gpus.map((gpu) => {
      if (!gpu) return null;
      const [used, utilization, watts, celsius, flat] = gpu;
      return { used, utilization, watts, celsius, shares: shares(flat) };
    }),
    resident: shares(resident),
    caches: new Map(
      caches.map(([owner, permille, running, waiting, speed, size]) => [
        owner,
        { usage: permille / 1000, running, waiting, speed, size },
      ]),
    ),
  };
}

/** @param {Flat} flat @returns {Shares} */
function shares(flat) {
  /** @type {Shares} */
  const found = new Map();
  for (let at = 0; at + 1 < flat.length; at += 2) found.set(flat[at], flat[at + 1]);
  return found;
}

/** Everyone who holds memory in that row, in the order of their numbers. @param {Row} row */
export function holders({ resident, gpus }) {
  const all = new Set([...resident.keys(), ...gpus.flatMap((gpu) => [...(gpu?.shares.keys() ?? [])])]);
  return [...all].sort((a, b) => a - b);
}

/** Those that the chart draws: on GPUs where there are any. @param {Row} row */
export function drawnOwners({ resident, gpus }) {
  return gpus.length ? gpus.flatMap((gpu) => [...(gpu?.shares.keys() ?? [])]) : [...resident.keys()];
}

/** An owner's memory on all GPUs. @param {Row} row @param {number} owner */
export const onGpus = ({ gpus }, owner) => gpus.reduce((sum, gpu) => sum + (gpu?.shares.get(owner) ?? 0), 0);

/**
 * The part of a server's share that is KV cache and empty; 0 where the cache's size isn't known.
 *
 * @param {Row} row
 * @param {number} owner
 * @param {number} share
 */
function emptyCache({ caches }, owner, share) {
  const cache = caches.get(owner);
  return cache && cache.size !== null ? Math.min(share, cache.size * (1 - cache.usage)) : 0;
}

/**
 * What a trace draws of a row: GiB, percent, or null for what couldn't be read.
 *
 * @param {Meta} meta
 * @param {Row} row
 * @returns {number | null}
 */
export function drawnValue({ gpu: place, owner, kind }, row) {
  const host = place < 0;
  const gpu = host ? null : row.gpus[place];
  if (!host && !gpu) return null;
  if (kind === "utilization") return gpu?.utilization ?? null;
  const used = gpu ? gpu.used : row.machine;
  const held = gpu ? gpu.shares : row.resident;
  if (used === null) return null;
  if (kind === "others") {
    const known = [...held.values()].reduce((sum, size) => sum + size, 0);
    return Math.max(0, used - known) / MIB_PER_GIB;
  }
  const share = held.get(owner) ?? 0;
  const empty = host ? 0 : emptyCache(row, owner, share);
  return (kind === "cache" ? empty : share - empty) / MIB_PER_GIB;
}
