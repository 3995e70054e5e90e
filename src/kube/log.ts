import { inspect } from "node:util";

/** The part of a pino logger that this room uses. */
export interface Log {
  debug(fields: object, message: string): void;
  info: (fields: object, message: string) => void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  /** A logger that says these fields each time, at a level of its own where one is given. */
  child?(fields: object, options?: { level?: string }): Log;
}

const levels = ["debug", "info", "warn", "error"] as const;

/** `level`: more or less than the logger logs, for one key that somebody looks into. */
export function childLog(log: Log, fields: object, level?: string): Log {
  if (log.child) return log.child(fields, level === undefined ? {} : { level });
  const at = (name: (typeof levels)[number]) => (more: object, message: string) =>
    log[name]({ ...fields, ...more }, message);
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}

/** Undefined for what JSON can't hold. */
function lineOf(shown: object): string | undefined {
  try {
    return JSON.stringify(shown, (_key, value) => (value instanceof Error ? (value.stack ?? value) : value));
  } catch {
    return undefined;
  }
}

const inspected = (fields: object) =>
  Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [name, typeof value === "string" ? value : inspect(value)]),
  );

/** Lines of JSON, for programs that bring no logger. */
export function consoleLog(level: string = "info", fields: object = {}): Log {
  const from = Math.max(0, (levels as readonly string[]).indexOf(level));
  const at = (name: (typeof levels)[number]) => (more: object, message: string) => {
    if (levels.indexOf(name) < from) return;
    const shown = { level: name, time: new Date().toISOString(), message, ...fields, ...more };
    console.error(lineOf(shown) ?? lineOf({ ...shown, ...inspected({ ...fields, ...more }) }));
  };
  return {
    debug: at("debug"),
    info: at("info"),
    warn: at("warn"),
    error: at("error"),
    child: (more, options) => consoleLog(options?.level ?? level, { ...fields, ...more }),
  };
}
