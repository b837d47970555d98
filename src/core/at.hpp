#pragma once
// A flag that is set while somebody is at it, however that ends.

namespace opsd {

class At {
public:
    explicit At(bool& flag) : flag_{flag} { flag_ = true; }
    At(const At&) = delete;
    At& operator=(const At&) = delete;
    ~At() { flag_ = false; }

private:
    bool& flag_;
};

}  // namespace opsd
