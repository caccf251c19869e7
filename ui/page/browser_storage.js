// @ts-check
/** What this browser keeps for the page. One that forbids it, or is full, keeps nothing; the page goes on as it is. */

/** @typedef {"localStorage" | "sessionStorage"} Where sessionStorage: for this browser tab alone */

/** What is kept under that name; null where there is nothing. @param {string} name @param {Where} [where] */
export function remembered(name, where = "localStorage") {
  try {
    return globalThis[where].getItem(name);
  } catch {
    return null;
  }
}

/** @param {string} name @param {string} value @param {Where} [where] */
export function remember(name, value, where = "localStorage") {
  try {
    globalThis[where].setItem(name, value);
  } catch {
    // the usual stands there next time
  }
}
