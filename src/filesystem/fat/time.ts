const BILLION = 1_000_000_000n;
const DAYS_BEFORE_1980 = 3652;
/** Months 0 and 13 to 15 can be stored; the kernel takes them for January. */
const DAYS_BEFORE_MONTH = [0, 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 0, 0, 0];
/** 2100 is no leap year; years are counted from 1980. */
const YEAR_2100 = 120;

/**
 * Nanoseconds since 1970 of a time in steps of two seconds and a date, as the kernel reads them where no time zone is
 * set: as UTC (fs/fat/misc.c, fat_time_fat2unix).
 */
export function fatTime(time: number, date: number): bigint {
  const year = date >>> 9;
  const month = Math.max(1, (date >>> 5) & 0xf);
  const day = Math.max(1, date & 0x1f) - 1;
  const seconds = (time & 0x1f) * 2 + ((time >>> 5) & 0x3f) * 60 + (time >>> 11) * 3600;
  let leapDays = Math.floor((year + 3) / 4) - (year > YEAR_2100 ? 1 : 0);
  if (year % 4 === 0 && year !== YEAR_2100 && month > 2) leapDays++;
  const days = year * 365 + leapDays + DAYS_BEFORE_MONTH[month]! + day + DAYS_BEFORE_1980;
  return BigInt(days * 86_400 + seconds) * BILLION;
}
