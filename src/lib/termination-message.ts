/** What a container leaves in the status of its pod, so that no log has to be read. */
import { closeSync, ftruncateSync, openSync, writeSync } from "node:fs";

const terminationMessage = "/dev/termination-log";

/** Kubernetes has created the file; elsewhere it is missing, and is not created. */
export function leaveMessage(message: object, path = terminationMessage): void {
  try {
    const file = openSync(path, "r+");
    try {
      ftruncateSync(file);
      writeSync(file, JSON.stringify(message));
    } finally {
      closeSync(file);
    }
  } catch {
    // what was done is done all the same, and a log line says the same
  }
}
