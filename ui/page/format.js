// @ts-check
/** Figures as a reader sees them. */

import { locale, t } from "./texts.js";

const GIB = 2 ** 30;
const MIB = 2 ** 20;
const UNITS = /** @type {const} */ ([
  [86400, "common.days"],
  [3600, "common.hours"],
  [60, "common.minutes"],
  [1, "common.seconds"],
]);
const NOTHING = "–";

/** @param {number} value @param {number} digits */
const decimals = (value, digits) => value.toLocaleString(locale, { maximumFractionDigits: digits });

/**
 * Bytes → "12.3 GiB"; below 10 GiB with two decimals; "–" where it isn't known.
 *
 * @param {number | null | undefined} bytes
 */
export function gib(bytes) {
  if (bytes === null || bytes === undefined) return NOTHING;
  const value = bytes / GIB;
  const digits = { minimumFractionDigits: 1, maximumFractionDigits: value < 10 ? 2 : 1 };
  return `${value.toLocaleString(locale, digits)} GiB`;
}

/**
 * Bytes → "12.3", for where the unit stands beside it.
 *
 * @param {number} bytes
 */
export const shortGib = (bytes) => decimals(bytes / GIB, 1);

/**
 * Bytes of files → "3.2 GiB", below one GiB "12.3 MiB"; what is there is never "0 MiB".
 *
 * @param {number} bytes
 */
export function size(bytes) {
  if (bytes >= GIB) return gib(bytes);
  const mib = bytes / MIB;
  return bytes > 0 && mib < 0.1 ? `< ${decimals(0.1, 1)} MiB` : `${decimals(mib, 1)} MiB`;
}

/**
 * How sizes that stand together are told: in the unit of the largest, MiB or GiB.
 *
 * @param {number} largest bytes
 * @returns {(bytes: number) => string}
 */
export function sizesUpTo(largest) {
  const [unit, name] = largest < GIB ? [MIB, "MiB"] : [GIB, "GiB"];
  return (bytes) => {
    const value = bytes / unit;
    const least = 0.001;
    if (bytes > 0 && value < least) return `< ${decimals(least, 3)} ${name}`;
    return `${decimals(value, value < 0.1 ? 3 : 2)} ${name}`;
  };
}

/**
 * Seconds → "45 s", "3 min 20 s", "2 h 5 min", "3 d 4 h".
 *
 * @param {number | null | undefined} seconds
 */
export function duration(seconds) {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return NOTHING;
  const whole = Math.max(0, Math.round(seconds));
  const largest = UNITS.findIndex(([size]) => whole >= size);
  const first = largest < 0 ? UNITS.length - 1 : largest;
  let rest = whole;
  const parts = [];
  for (const [size, key] of UNITS.slice(first, first + 2)) {
    const count = Math.floor(rest / size);
    rest -= count * size;
    if (count > 0 || parts.length === 0) parts.push(`${count} ${t(key)}`);
  }
  return parts.join(" ");
}

/**
 * 1234.5 → "1,234.5"; `digits` decimals at most.
 *
 * @param {number | null | undefined} value
 * @param {number} [digits]
 */
export function number(value, digits = 1) {
  return value === null || value === undefined ? NOTHING : decimals(value, digits);
}
