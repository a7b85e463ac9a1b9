//! Instruction sets: found once, passed to every operation.

use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

/// The instruction set an operation runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Isa {
    /// What every processor of the target has (on aarch64 that includes NEON).
    Portable,
    /// AVX2 with fused multiply-add.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// AVX-512 F, BW, DQ and VL.
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Isa {
    /// Every instruction set that this processor has, the best last.
    pub fn available() -> Vec<Isa> {
        #[allow(unused_mut, reason = "other targets add nothing")]
        let mut list = vec![Isa::Portable];
        #[cfg(target_arch = "x86_64")]
        {
            if has_avx2() {
                list.push(Isa::Avx2);
            }
            if has_avx512() {
                list.push(Isa::Avx512);
            }
        }
        list
    }

    /// What was [chosen](Isa::choose), else the best instruction set that this processor has.
    pub fn best() -> Isa {
        CHOSEN.get().copied().unwrap_or_else(|| Self::available().pop().unwrap_or(Isa::Portable))
    }

    /// Makes [`Isa::best`] give this one from now on, in the whole process. To be called once, before anything asks.
    ///
    /// # Errors
    /// Another was chosen before, which is given.
    pub fn choose(self) -> Result<(), Isa> {
        let chosen = *CHOSEN.get_or_init(|| self);
        if chosen == self { Ok(()) } else { Err(chosen) }
    }
}

/// See [`Isa::choose`].
static CHOSEN: OnceLock<Isa> = OnceLock::new();

impl FromStr for Isa {
    type Err = String;

    /// The instruction set of that name, if this processor has it.
    fn from_str(name: &str) -> Result<Self, String> {
        let available = Self::available();
        available.iter().copied().find(|isa| isa.to_string() == name).ok_or_else(|| {
            let names: Vec<String> = available.iter().map(Isa::to_string).collect();
            format!("this processor has {}", names.join(", "))
        })
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Isa::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => "avx512",
        })
    }
}

/// AVX2, fused multiply-add and the count of ones, which comes with them (the answer is kept by the standard library).
#[cfg(target_arch = "x86_64")]
pub(crate) fn has_avx2() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("popcnt")
}

/// The parts of AVX-512 that the kernels are compiled for, and AVX2.
#[cfg(target_arch = "x86_64")]
pub(crate) fn has_avx512() -> bool {
    has_avx2()
        && is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl")
}

/// Makes a public function that runs `body::<FMA>` compiled for the instruction set it is given.
///
/// `body` must be `#[inline(always)]`, so that it is compiled once for each set of target features.
///
/// `= vector body` runs `body::<V>`, V the [`Vector`](crate::vector::Vector) of that instruction set.
macro_rules! dispatch {
    ($(#[$attribute:meta])* $visibility:vis fn $name:ident($($argument:ident: $type:ty),* $(,)?) $(-> $out:ty)? = vector $body:ident) => {
        $crate::isa::dispatch! {
            @ $(#[$attribute])* $visibility fn $name($($argument: $type),*) $(-> $out)? =
                $body [$crate::vector::Portable<{ cfg!(target_arch = "aarch64") }>] [$crate::vector::Avx2] [$crate::vector::Avx512]
        }
    };
    ($(#[$attribute:meta])* $visibility:vis fn $name:ident($($argument:ident: $type:ty),* $(,)?) $(-> $out:ty)? = $body:ident) => {
        $crate::isa::dispatch! {
            @ $(#[$attribute])* $visibility fn $name($($argument: $type),*) $(-> $out)? =
                $body [{ cfg!(target_arch = "aarch64") }] [true] [true]
        }
    };
    (
        @ $(#[$attribute:meta])* $visibility:vis fn $name:ident($($argument:ident: $type:ty),*) $(-> $out:ty)? =
            $body:ident [$($portable:tt)*] [$($avx2:tt)*] [$($avx512:tt)*]
    ) => {
        $(#[$attribute])*
        $visibility fn $name(isa: $crate::Isa, $($argument: $type),*) $(-> $out)? {
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma,popcnt")]
            fn avx2($($argument: $type),*) $(-> $out)? {
                $body::<$($avx2)*>($($argument),*)
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma,popcnt,avx512f,avx512bw,avx512dq,avx512vl")]
            fn avx512($($argument: $type),*) $(-> $out)? {
                $body::<$($avx512)*>($($argument),*)
            }
            match isa {
                $crate::Isa::Portable => $body::<$($portable)*>($($argument),*),
                #[cfg(target_arch = "x86_64")]
                $crate::Isa::Avx2 => {
                    assert!($crate::isa::has_avx2(), "this processor has no AVX2");
                    // SAFETY: the features were just found.
                    unsafe { avx2($($argument),*) }
                }
                #[cfg(target_arch = "x86_64")]
                $crate::Isa::Avx512 => {
                    assert!($crate::isa::has_avx512(), "this processor has no AVX-512");
                    // SAFETY: the features were just found.
                    unsafe { avx512($($argument),*) }
                }
            }
        }
    };
}
pub(crate) use dispatch;

/// `a * b + c`, fused where the instruction set fuses.
#[inline(always)]
pub(crate) fn multiply_add<const FMA: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_others_refused() {
        for isa in Isa::available() {
            assert_eq!(isa.to_string().parse(), Ok(isa));
        }
        assert!("sse9".parse::<Isa>().unwrap_err().contains("this processor has portable"));
    }
}
