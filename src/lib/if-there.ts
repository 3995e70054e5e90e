/** Files that may have been removed, or never were there. */
import { codeOf } from "./text.ts";

/** Undefined where what was asked for does not exist. */
export async function ifThere<T>(act: () => Promise<T>): Promise<T | undefined> {
  try {
    return await act();
  } catch (thrown) {
    if (codeOf(thrown) === "ENOENT") return undefined;
    throw thrown;
  }
}

/** The same, of a call that does not wait. */
export function ifThereSync<T>(act: () => T): T | undefined {
  try {
    return act();
  } catch (thrown) {
    if (codeOf(thrown) === "ENOENT") return undefined;
    throw thrown;
  }
}
