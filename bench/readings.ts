/** Readings that take turns: A B C, A B C, never all of A and then all of B, because a machine's speed drifts. */

/** Something to be measured again and again. */
export interface Row {
  /** Rows of one table are compared with each other. */
  readonly table: string;
  readonly name: string;
  /** Batch size, threads and the like. */
  readonly setting: string;
  /** One measurement in the table's unit, with what else it found out. */
  read(): Promise<Reading>;
  /** Loads, allocates and warms up; nothing of it is measured. */
  warmUp(): Promise<unknown>;
}

export interface Reading {
  value: number;
  /** Share of the time not spent inside the runtime, where that is known. */
  outsideShare?: number;
}

export interface MeasuredRow {
  table: string;
  name: string;
  setting: string;
  /** By round. */
  readings: Reading[];
}

/** Warms every row up, then reads all of them once a round. */
export async function takeTurns(
  rows: readonly Row[],
  rounds: number,
  onProgress: (text: string) => void,
): Promise<MeasuredRow[]> {
  for (const row of rows) {
    onProgress(`warming up: ${row.table}, ${row.name}`);
    await row.warmUp();
  }
  const measured = rows.map(({ table, name, setting }): MeasuredRow => ({ table, name, setting, readings: [] }));
  for (let round = 0; round < rounds; round++) {
    for (const [i, row] of rows.entries()) {
      onProgress(`round ${round + 1}/${rounds}: ${row.table}, ${row.name}`);
      measured[i]!.readings.push(await row.read());
    }
  }
  return measured;
}

export interface Summary {
  median: number;
  lowest: number;
  highest: number;
}

export function summarise(values: readonly number[]): Summary {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  const median = (sorted[Math.floor(middle)]! + sorted[Math.ceil(middle)]!) / 2;
  return { median, lowest: sorted[0]!, highest: sorted.at(-1)! };
}

/** The quotient within each round, where both had the same machine. */
export function ratio(dividend: MeasuredRow, divisor: MeasuredRow): Summary {
  return summarise(dividend.readings.map(({ value }, round) => value / divisor.readings[round]!.value));
}
