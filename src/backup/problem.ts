/** A backup that can't be used, in a sentence that says what to do. */
export class BackupProblem extends Error {
  override readonly name = "BackupProblem";
}
