/** The two models of a step. */

export const ROLES = ['student', 'teacher'] as const;
export type Role = (typeof ROLES)[number];

/** Something of each model; the teacher's is null where there is no teacher. */
export interface Pair<T> {
  readonly student: T;
  readonly teacher: T | null;
}

/** Something of each model that either may lack. */
export type EachRole<T> = Readonly<Record<Role, T>>;

/** The same made of something else, for each model there is. */
export const mapPair = <T, U>({ student, teacher }: Pair<T>, make: (one: T, role: Role) => U): Pair<U> => ({
  student: make(student, 'student'),
  teacher: teacher && make(teacher, 'teacher'),
});
