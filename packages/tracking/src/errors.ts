/** A log that cannot be written. */
export class TrackingError extends Error {
  override readonly name = 'TrackingError';
  readonly code = 'LOG_FILE';
  readonly file: string;
  readonly remedy: string;

  constructor(file: string, cause: unknown) {
    const remedy = 'Choose another output_dir or logging_dir, or make room and give write access there.';
    super(`The log ${file} cannot be written: ${cause instanceof Error ? cause.message : String(cause)}. ${remedy}`, {
      cause,
    });
    this.file = file;
    this.remedy = remedy;
  }
}
