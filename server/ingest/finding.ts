/** What the doctor says: shared by who finds, who tells and who asks. */

/** The same shape as the API's, so that one can be given for the other. */
export type DoctorFinding = {
  readonly code: string;
  readonly severity: 'info' | 'warning' | 'problem';
  /** A sentence for the streamer: what it is, what it costs, what to set. */
  readonly advice: string;
  /** What it costs in latency, where that can be said. */
  readonly costMs: number | null;
};
